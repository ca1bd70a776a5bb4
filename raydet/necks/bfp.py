"""The balanced feature pyramid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raydet.layers import BaseModule, Cfg, ConvModule, InitCfg, build_plugin_layer
from raydet.necks.parts import XAVIER, check_levels


class BFP(BaseModule):
    """The mean of all levels, refined, added to each of them (arXiv:1904.02701).

    Args:
        in_channels: channels of all levels.
        num_levels: number of levels.
        refine_level: level at whose size the mean is taken.
        refine_type: "conv", "non_local", or None for no refinement.
        conv_cfg: type of the convolutions.
        norm_cfg: normalisation.
        init_cfg: how to initialise.

    Raises:
        ValueError: unknown `refine_type`, or no such `refine_level`.
    """

    def __init__(
        self,
        in_channels: int,
        num_levels: int,
        refine_level: int = 2,
        refine_type: str | None = None,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = None,
        init_cfg: InitCfg = XAVIER,
    ) -> None:
        super().__init__(init_cfg)
        if refine_type not in (None, "conv", "non_local"):
            raise ValueError(f"refine_type must be None, 'conv' or 'non_local', got {refine_type!r}")
        if not 0 <= refine_level < num_levels:
            raise ValueError(f"refine_level must be within 0 .. {num_levels - 1}, got {refine_level}")
        self.num_levels = num_levels
        self.refine_level = refine_level
        self.refine_type = refine_type
        common: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg}
        if refine_type == "conv":
            self.refine: nn.Module = ConvModule(in_channels, in_channels, 3, padding=1, **common)
        elif refine_type == "non_local":
            cfg = {"type": "NonLocal2d", "reduction": 1, "use_scale": False, **common}
            self.refine = build_plugin_layer(cfg, in_channels=in_channels)[1]

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Map `num_levels` maps `(N, in_channels, H_l, W_l)` to the same shapes."""
        check_levels(self, inputs, self.num_levels)
        size = inputs[self.refine_level].shape[-2:]
        mean = torch.stack([_resized(x, size) for x in inputs]).mean(0)
        if self.refine_type is not None:
            mean = self.refine(mean)
        return tuple(x + _resized(mean, x.shape[-2:]) for x in inputs)


def _resized(x: Tensor, size: Sequence[int]) -> Tensor:
    """Larger by nearest neighbours, smaller by maxima."""
    if x.shape[-2] > size[0]:
        return F.adaptive_max_pool2d(x, (size[0], size[1]))
    return F.interpolate(x, size=(size[0], size[1]))
