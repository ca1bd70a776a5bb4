"""Initialisers that an `init_cfg` names, and how an `init_cfg` is applied to a module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn
from torch.nn import init

from raydet.layers.init_functions import Fill, bias_init_with_prob, fill_layer, kaiming_fill, xavier_fill
from raydet.layers.init_log import update_init_info
from raydet.registry import INITIALIZERS

InitCfg = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None


class LayerInitializer:
    """Base of the initialisers that visit layers by the name of their class.

    Args:
        bias: value of every bias.
        bias_prob: set the bias so that a sigmoid starts at this probability; replaces `bias`.
        layer: class names (of the layer itself or of a direct base) to visit; none when left out.
    """

    def __init__(
        self, *, bias: float = 0, bias_prob: float | None = None, layer: str | Sequence[str] | None = None
    ) -> None:
        if isinstance(bias, bool) or not isinstance(bias, (int, float)):
            raise TypeError(f"bias must be a number, got {bias!r}")
        if bias_prob is not None and not isinstance(bias_prob, float):
            raise TypeError(f"bias_prob must be a float, got {bias_prob!r}")
        if layer is not None and not isinstance(layer, (str, list, tuple)):
            raise TypeError(f"layer must be a class name or a list of them, got {layer!r}")
        self.bias = bias if bias_prob is None else bias_init_with_prob(bias_prob)
        self.layers = frozenset([layer] if isinstance(layer, str) else layer or ())

    def fill(self) -> Fill:
        """The function that fills a weight."""
        raise NotImplementedError

    def __call__(self, module: nn.Module, every_layer: bool = False) -> None:
        """Initialise the layers below `module` that were asked for, or all of them."""
        fill = self.fill()
        for child in module.modules():
            if every_layer or not self.layers.isdisjoint(_class_names(child)):
                fill_layer(child, fill, self.bias)
        update_init_info(module, self.describe())

    def describe(self) -> str:
        """One line for the log."""
        values = {key: value for key, value in vars(self).items() if key != "layers"}
        return f"{type(self).__name__}: " + ", ".join(f"{key}={value}" for key, value in sorted(values.items()))


def _class_names(module: nn.Module) -> list[str]:
    return [type(module).__name__, *(base.__name__ for base in type(module).__bases__)]


class Constant(LayerInitializer):
    """Weights get the value `val`."""

    def __init__(self, val: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.val = val

    def fill(self) -> Fill:
        return lambda weight: init.constant_(weight, self.val)


class Xavier(LayerInitializer):
    """Glorot's draw; `distribution` is "uniform" or "normal"."""

    def __init__(self, gain: float = 1, distribution: str = "normal", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.gain = gain
        self.distribution = distribution

    def fill(self) -> Fill:
        return xavier_fill(self.gain, self.distribution)


class Normal(LayerInitializer):
    """Normal draw."""

    def __init__(self, mean: float = 0, std: float = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mean = mean
        self.std = std

    def fill(self) -> Fill:
        return lambda weight: init.normal_(weight, self.mean, self.std)


class TruncNormal(LayerInitializer):
    """Normal draw cut to `[a, b]`."""

    def __init__(self, mean: float = 0, std: float = 1, a: float = -2, b: float = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mean = mean
        self.std = std
        self.a = a
        self.b = b

    def fill(self) -> Fill:
        return lambda weight: init.trunc_normal_(weight, self.mean, self.std, self.a, self.b)


class Uniform(LayerInitializer):
    """Uniform draw from `[a, b)`."""

    def __init__(self, a: float = 0.0, b: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.a = a
        self.b = b

    def fill(self) -> Fill:
        return lambda weight: init.uniform_(weight, self.a, self.b)


class Kaiming(LayerInitializer):
    """He's draw (arXiv:1502.01852); `distribution` is "uniform" or "normal"."""

    def __init__(
        self,
        a: float = 0,
        mode: str = "fan_out",
        nonlinearity: str = "relu",
        distribution: str = "normal",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.a = a
        self.mode = mode
        self.nonlinearity = nonlinearity
        self.distribution = distribution

    def fill(self) -> Fill:
        return kaiming_fill(self.a, self.mode, self.nonlinearity, self.distribution)


class Caffe2Xavier(LayerInitializer):
    """Caffe2's XavierFill: uniform, scaled by the number of inputs alone."""

    def fill(self) -> Fill:
        return kaiming_fill(1, "fan_in", "leaky_relu", "uniform")


def initialize(module: nn.Module, init_cfg: InitCfg) -> None:
    """Apply an `init_cfg` (a dict or a list of dicts, one after the other) to `module`.

    `override` (a dict or a list of dicts with the key `name`) treats the child of that name differently: with its own
    `type` and arguments, or, when it has only a name, with those of the surrounding dict. Without `layer` nothing but
    the overridden children is touched.

    Raises:
        TypeError: `init_cfg` or `override` is no dict and no list of dicts.
        ValueError: an override without `name`, with arguments but without `type`, or for a child that is not there.
    """
    for cfg in _dicts(init_cfg, "init_cfg"):
        arguments = {key: value for key, value in cfg.items() if key != "override"}
        INITIALIZERS.build(arguments if "override" in cfg else cfg)(module)  # `cfg` knows its place in a file
        if cfg.get("override") is not None:
            arguments.pop("layer", None)
            for override in _dicts(cfg["override"], "override"):
                _apply_override(module, override, arguments)


def _dicts(value: Any, what: str) -> list[Mapping[str, Any]]:
    listed = [value] if isinstance(value, Mapping) else value
    if not isinstance(listed, (list, tuple)) or not all(isinstance(each, Mapping) for each in listed):
        raise TypeError(f"{what} must be a dict or a list of dicts, got {value!r}")
    return list(listed)


def _apply_override(module: nn.Module, override: Mapping[str, Any], inherited: Mapping[str, Any]) -> None:
    own = dict(override)
    name = own.pop("name", None)
    if name is None:
        raise ValueError(f"an override needs the key 'name' (which child it is for), got {dict(override)}")
    if own and "type" not in own:
        raise ValueError(f"an override with arguments needs the key 'type', got {dict(override)}")
    if not hasattr(module, name):
        raise ValueError(f"{type(module).__name__} has no child {name!r}, but its init_cfg overrides it: {override}")
    initializer, child = INITIALIZERS.build(own or dict(inherited)), getattr(module, name)
    if isinstance(initializer, LayerInitializer):
        initializer(child, every_layer=True)
    else:
        initializer(child)
