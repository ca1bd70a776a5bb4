"""Build small layers from their config dicts, named as 2.x names them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from raydet.registry import LAYERS, accepted_arguments, argument_errors, place_of

Cfg = Mapping[str, Any]

_NORM_BASES: tuple[tuple[type, str], ...] = (
    (_InstanceNorm, "in"),
    (_BatchNorm, "bn"),
    (nn.GroupNorm, "gn"),
    (nn.LayerNorm, "ln"),
)
_NORM_WORDS = {"batch": "bn", "group": "gn", "layer": "ln", "instance": "in"}


def build_conv_layer(cfg: Cfg | None, *args: Any, **kwargs: Any) -> nn.Module:
    """Build the convolution that `cfg` names; `nn.Conv2d` when it is None. Other arguments go to the layer."""
    return _build({"type": "Conv2d"} if cfg is None else cfg, *args, **kwargs)


def build_norm_layer(cfg: Cfg, num_features: int, postfix: int | str = "") -> tuple[str, nn.Module]:
    """Build a normalisation and its attribute name, such as `("bn1", BatchNorm2d(64))`.

    Args:
        cfg: `type`, arguments of the layer, and `requires_grad` for its parameters (default True).
        num_features: channels to normalise.
        postfix: ends the name.
    """
    member = _resolve(cfg)
    arguments = dict(cfg)
    requires_grad = arguments.pop("requires_grad", True)
    arguments.setdefault("eps", 1e-5)
    if member is nn.GroupNorm:
        arguments["num_channels"] = num_features
        layer = _build(arguments)
    else:
        layer = _build(arguments, num_features)
    for parameter in layer.parameters():
        parameter.requires_grad_(requires_grad)
    return f"{_norm_abbreviation(member)}{postfix}", layer


def build_activation_layer(cfg: Cfg, inplace: bool | None = None) -> nn.Module:
    """Build an activation; `inplace`, when given, is the default where the layer has that argument."""
    takes_inplace = inplace is not None and "inplace" in accepted_arguments(_resolve(cfg))[0]
    return _build({"inplace": inplace, **cfg} if takes_inplace else cfg)


def build_padding_layer(cfg: Cfg, *args: Any, **kwargs: Any) -> nn.Module:
    """Build a padding layer: type "zero", "reflect", "replicate" or a registered one."""
    return _build(cfg, *args, **kwargs)


def build_upsample_layer(cfg: Cfg, *args: Any, **kwargs: Any) -> nn.Module:
    """Build an upsampling layer: type "nearest", "bilinear", "deconv", "pixel_shuffle" or a registered one."""
    if _resolve(cfg) is nn.Upsample:  # several types, told apart by their mode
        kwargs["mode"] = cfg["type"]
    return _build(cfg, *args, **kwargs)


def build_plugin_layer(cfg: Cfg, postfix: int | str = "", **kwargs: Any) -> tuple[str, nn.Module]:
    """Build a plug-in block and its attribute name, such as `("context_block1", ContextBlock(...))`."""
    member = _resolve(cfg)
    abbreviation = getattr(member, "_abbr_", None) or _snake_case(member.__name__)
    return f"{abbreviation}{postfix}", _build(cfg, **kwargs)


def build_dropout(cfg: Cfg, default_args: Cfg | None = None) -> nn.Module:
    """Build a dropout: type "Dropout", "DropPath" or a registered one."""
    return _build({**(default_args or {}), **cfg})


def is_norm(layer: nn.Module, exclude: type | tuple[type, ...] | None = None) -> bool:
    """Whether `layer` is one of torch's normalisations, those in `exclude` apart."""
    if exclude is not None and isinstance(layer, exclude):
        return False
    return isinstance(layer, tuple(base for base, _ in _NORM_BASES))


def _resolve(cfg: Cfg) -> Callable[..., Any]:
    if not isinstance(cfg, Mapping):
        raise TypeError(f"the config of a layer must be a dict, got {cfg!r}")
    if "type" not in cfg:
        raise KeyError(f"{place_of(cfg)}the config of a layer needs the key 'type', got keys {sorted(cfg)}")
    return LAYERS.resolve(cfg["type"], place_of(cfg, "type"))


def _build(cfg: Cfg, *args: Any, **kwargs: Any) -> nn.Module:
    member = _resolve(cfg)
    own = {key: value for key, value in cfg.items() if key != "type"}
    try:
        layer: nn.Module = member(*args, **kwargs, **own)
    except TypeError as error:
        _explain(member, args, {**kwargs, **own}, cfg)
        raise TypeError(f"{place_of(cfg)}{getattr(member, '__name__', member)}: {error}") from error
    return layer


def _explain(member: Callable[..., Any], args: tuple[Any, ...], arguments: Cfg, cfg: Cfg) -> None:
    """Raise a TypeError that names each wrong argument and its place, if it is the arguments that are wrong."""
    positional = list(inspect.signature(member).parameters)[: len(args)]
    errors = argument_errors(member, {**dict.fromkeys(positional), **arguments})
    if errors:
        raise TypeError("; ".join(f"{place_of(cfg, key)}{message}" for key, message in errors)) from None


def _norm_abbreviation(member: Callable[..., Any]) -> str:
    """Attribute name that 2.x gives to a normalisation of this class."""
    own = getattr(member, "_abbr_", None)
    if own is not None:
        return str(own)
    if isinstance(member, type):
        for base, abbreviation in _NORM_BASES:
            if issubclass(member, base):
                return abbreviation
    name = getattr(member, "__name__", "").lower()
    return next((short for word, short in _NORM_WORDS.items() if word in name), "norm_layer")


def _snake_case(name: str) -> str:
    spaced = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)
    return re.sub(r"([a-z\d])([A-Z])", r"\1_\2", spaced).lower()
