"""Optimisers from configs, with learning rate and weight decay per parameter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn
from torch.nn import GroupNorm, LayerNorm
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from raydet.engine.parallel import unwrap
from raydet.registry import OPTIMIZER_BUILDERS, OPTIMIZERS

_NORMS = (_BatchNorm, _InstanceNorm, GroupNorm, LayerNorm)
_DEFORMABLE = ("DeformConv2d", "ModulatedDeformConv2d")
_DECAYS = ("bias_decay_mult", "norm_decay_mult", "dwconv_decay_mult")
_OPTIONS = {*_DECAYS, "bias_lr_mult", "dcn_offset_lr_mult", "custom_keys", "bypass_duplicate"}


def build_optimizer(model: nn.Module, cfg: Mapping[str, Any]) -> Any:
    """Build the optimiser of a model.

    Args:
        model: wrapped or not.
        cfg: `dict(type=..., lr=..., ...)`; `constructor` names the constructor and `paramwise_cfg` is its argument.
    """
    arguments = cfg.copy() if hasattr(cfg, "copy") else dict(cfg)
    constructor = arguments.pop("constructor", "DefaultOptimizerConstructor")
    paramwise = arguments.pop("paramwise_cfg", None)
    builder = OPTIMIZER_BUILDERS.build({"type": constructor, "optimizer_cfg": arguments, "paramwise_cfg": paramwise})
    return builder(model)


class DefaultOptimizerConstructor:
    """Builds an optimiser whose parameters may differ in learning rate and weight decay.

    Without `paramwise_cfg` all parameters form one group; with it every parameter is a group of its own, as in 2.x, so
    that optimiser states of 2.x checkpoints fit.

    Args:
        optimizer_cfg: dict of the optimiser.
        paramwise_cfg: multipliers: `bias_lr_mult` and `bias_decay_mult` for biases outside normalisation layers,
            `norm_decay_mult` for normalisation layers, `dwconv_decay_mult` for depthwise convolutions,
            `dcn_offset_lr_mult` for the offsets of deformable convolutions, `custom_keys` for parts of names
            (`dict(backbone=dict(lr_mult=0.1, decay_mult=0.9))`; the longest that matches wins over everything else),
            `bypass_duplicate` to skip parameters that occur twice.
    """

    def __init__(self, optimizer_cfg: Mapping[str, Any], paramwise_cfg: Mapping[str, Any] | None = None) -> None:
        if not isinstance(optimizer_cfg, Mapping):
            raise TypeError(f"optimizer must be a dict, got {type(optimizer_cfg).__name__}")
        self.optimizer_cfg = optimizer_cfg
        self.paramwise_cfg: Mapping[str, Any] = {} if paramwise_cfg is None else paramwise_cfg
        self.base_lr: float | None = optimizer_cfg.get("lr")
        self.base_wd: float | None = optimizer_cfg.get("weight_decay")
        self._check()

    def _check(self) -> None:
        options = self.paramwise_cfg
        if not isinstance(options, Mapping):
            raise TypeError(f"paramwise_cfg must be a dict or None, got {type(options).__name__}")
        custom = options.get("custom_keys", {})
        if not isinstance(custom, Mapping):
            raise TypeError(f"paramwise_cfg.custom_keys must be a dict, got {type(custom).__name__}")
        decays = [name for name in _DECAYS if name in options]
        decays += [f"custom_keys[{key!r}].decay_mult" for key, value in custom.items() if "decay_mult" in value]
        if decays and self.base_wd is None:
            raise ValueError(f"paramwise_cfg.{decays[0]} needs a weight_decay in the optimizer")

    def __call__(self, model: nn.Module) -> Any:
        model = unwrap(model)
        params = list(self.groups(model)) if self.paramwise_cfg else model.parameters()
        return OPTIMIZERS.build(self.optimizer_cfg, {"params": params})

    def groups(self, model: nn.Module) -> Iterator[dict[str, Any]]:
        """One group per parameter, in the order of the model."""
        unknown = set(self.paramwise_cfg) - _OPTIONS
        if unknown:
            raise ValueError(f"paramwise_cfg has no option {sorted(unknown)}; expected some of {sorted(_OPTIONS)}")
        seen: set[int] = set()
        offsets = _offset_modules(model)
        for prefix, module in model.named_modules():
            for name, parameter in module.named_parameters(recurse=False):
                full = f"{prefix}.{name}" if prefix else name
                if id(parameter) in seen:
                    if not self.paramwise_cfg.get("bypass_duplicate", False):
                        raise ValueError(f"the parameter {full} occurs twice; set paramwise_cfg.bypass_duplicate=True")
                    continue
                seen.add(id(parameter))
                own = self._settings(full, name, module, prefix in offsets) if parameter.requires_grad else {}
                yield {"params": [parameter], **own}

    def _settings(self, full: str, name: str, module: nn.Module, offset: bool) -> dict[str, Any]:
        """Learning rate and weight decay of one parameter, where they differ from the optimiser's."""
        custom = self.paramwise_cfg.get("custom_keys", {})
        # At the top level a key sees ".name", as in 2.x.
        seen_name = full if "." in full else f".{full}"
        key = next((key for key in sorted(sorted(custom), key=len, reverse=True) if key in seen_name), None)
        if key is not None:
            lr_mult, decay_mult = custom[key].get("lr_mult", 1.0), custom[key].get("decay_mult", 1.0)
        else:
            lr_mult, decay_mult = self._lr_mult(name, module, offset), self._decay_mult(name, module, offset)
        settings: dict[str, Any] = {}
        if self.base_lr is not None:
            settings["lr"] = self.base_lr * lr_mult
        if self.base_wd is not None:
            settings["weight_decay"] = self.base_wd * decay_mult
        return settings

    def _lr_mult(self, name: str, module: nn.Module, offset: bool) -> float:
        options, mult = self.paramwise_cfg, 1.0
        if name == "bias" and not (isinstance(module, _NORMS) or offset):
            mult *= options.get("bias_lr_mult", 1.0)
        if offset and isinstance(module, nn.Conv2d):
            mult *= options.get("dcn_offset_lr_mult", 1.0)
        return mult

    def _decay_mult(self, name: str, module: nn.Module, offset: bool) -> float:
        options = self.paramwise_cfg
        if isinstance(module, _NORMS):
            return float(options.get("norm_decay_mult", 1.0))
        if isinstance(module, nn.Conv2d) and module.in_channels == module.groups:
            return float(options.get("dwconv_decay_mult", 1.0))
        if name == "bias" and not offset:
            return float(options.get("bias_decay_mult", 1.0))
        return 1.0


def _offset_modules(model: nn.Module) -> set[str]:
    """Names of the modules that stand directly inside a deformable convolution and compute its offsets."""
    deformable = [
        name
        for name, module in model.named_modules()
        if any(base.__name__ in _DEFORMABLE for base in type(module).__mro__)
    ]
    return {f"{name}.conv_offset" if name else "conv_offset" for name in deformable}
