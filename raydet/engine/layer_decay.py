"""Learning rates that shrink from the head of a backbone to its stem (arXiv:2201.03545, arXiv:2106.08254)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from raydet.engine.parallel import unwrap
from raydet.registry import OPTIMIZERS

_STEM = ("backbone.cls_token", "backbone.mask_token", "backbone.pos_embed")


def layer_of_convnext(name: str, max_layer: int) -> int:
    """Layer of a parameter of ConvNeXt, in [0, max_layer + 1]: stem, blocks in threes, everything else."""
    if name in _STEM:
        return 0
    parts = name.split(".")
    if name.startswith("backbone.downsample_layers"):
        return {0: 0, 1: 2, 2: 3, 3: max_layer}[int(parts[2])]
    if name.startswith("backbone.stages"):
        stage, block = int(parts[2]), int(parts[3])
        return {0: 1, 1: 2, 2: 3 + block // 3, 3: max_layer}[stage]
    return max_layer + 1


def stage_of_convnext(name: str, max_stage: int) -> int:
    """Stage of a parameter of ConvNeXt, in [0, max_stage - 1]."""
    if name in _STEM or name.startswith("backbone.downsample_layers"):
        return 0
    return int(name.split(".")[2]) + 1 if name.startswith("backbone.stages") else max_stage - 1


def layer_of_vit(name: str, max_layer: int) -> int:
    """Layer of a parameter of a vision transformer, in [0, max_layer - 1]."""
    if name in _STEM or name.startswith("backbone.patch_embed"):
        return 0
    return int(name.split(".")[2]) + 1 if name.startswith("backbone.layers") else max_layer - 1


class LearningRateDecayOptimizerConstructor:
    """Groups parameters by layer and decay; the rate of layer i is `lr * decay_rate ** (num_layers + 1 - i)`.

    One-dimensional parameters and biases have no weight decay.

    Args:
        optimizer_cfg: dict of the optimiser.
        paramwise_cfg: `num_layers`, `decay_rate` and `decay_type` ("layer_wise" or "stage_wise").
    """

    def __init__(self, optimizer_cfg: Mapping[str, Any], paramwise_cfg: Mapping[str, Any] | None = None) -> None:
        if not paramwise_cfg or not {"num_layers", "decay_rate"} <= set(paramwise_cfg):
            raise ValueError(f"paramwise_cfg must give num_layers and decay_rate, got {paramwise_cfg!r}")
        self.optimizer_cfg = optimizer_cfg
        self.num_layers = paramwise_cfg["num_layers"] + 2
        self.decay_rate = paramwise_cfg["decay_rate"]
        self.decay_type = paramwise_cfg.get("decay_type", "layer_wise")
        if self.decay_type not in ("layer_wise", "stage_wise"):
            raise ValueError(f"decay_type is {self.decay_type!r}, expected 'layer_wise' or 'stage_wise'")

    def __call__(self, model: nn.Module) -> Any:
        model = unwrap(model)
        kind = type(getattr(model, "backbone", None)).__name__
        groups: dict[str, dict[str, Any]] = {}
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                self._add(groups, name, parameter, kind)
        return OPTIMIZERS.build(self.optimizer_cfg, {"params": list(groups.values())})

    def _add(self, groups: dict[str, dict[str, Any]], name: str, parameter: nn.Parameter, backbone: str) -> None:
        decays = parameter.ndim > 1 and not name.endswith(".bias") and name not in ("pos_embed", "cls_token")
        layer = self._layer(name, backbone)
        key = f"layer_{layer}_{'decay' if decays else 'no_decay'}"
        scale = self.decay_rate ** (self.num_layers - layer - 1)
        group = groups.setdefault(
            key,
            {
                "params": [],
                "weight_decay": self.optimizer_cfg.get("weight_decay", 0.0) if decays else 0.0,
                "param_names": [],
                "lr_scale": scale,
                "group_name": key,
                "lr": scale * self.optimizer_cfg["lr"],
            },
        )
        group["params"].append(parameter)
        group["param_names"].append(name)

    def _layer(self, name: str, backbone: str) -> int:
        if "ConvNeXt" in backbone:
            if self.decay_type == "layer_wise":
                return layer_of_convnext(name, self.num_layers - 2)
            return stage_of_convnext(name, self.num_layers)
        if ("BEiT" in backbone or "MAE" in backbone) and self.decay_type == "layer_wise":
            return layer_of_vit(name, self.num_layers)
        raise NotImplementedError(f"learning rates by layer are not defined for a backbone of type {backbone}")
