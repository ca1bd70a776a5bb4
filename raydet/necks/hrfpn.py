"""HRNet's feature pyramid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raydet.layers import BaseModule, Cfg, ConvModule, InitCfg, recompute
from raydet.necks.parts import check_levels

_INIT: Cfg = {"type": "Caffe2Xavier", "layer": "Conv2d"}
_POOLINGS: dict[str, Callable[..., Tensor]] = {"AVG": F.avg_pool2d, "MAX": F.max_pool2d}


class HRFPN(BaseModule):
    """All maps joined at the finest level, reduced, then pooled to coarser levels (arXiv:1904.04514).

    Args:
        in_channels: channels of each input level.
        out_channels: channels of every output level.
        num_outs: number of output levels.
        pooling_type: "AVG" or "MAX".
        conv_cfg: type of the convolutions.
        norm_cfg: accepted for 2.x configs, without effect there as well.
        with_cp: recompute the reduction in the backward pass instead of keeping activations.
        stride: of the output convolutions.
        init_cfg: how to initialise.

    Raises:
        ValueError: unknown `pooling_type`.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        num_outs: int = 5,
        pooling_type: str = "AVG",
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = None,
        with_cp: bool = False,
        stride: int = 1,
        init_cfg: InitCfg = _INIT,
    ) -> None:
        super().__init__(init_cfg)
        if pooling_type not in _POOLINGS:
            raise ValueError(f"pooling_type must be one of {list(_POOLINGS)}, got {pooling_type!r}")
        self.num_ins = len(in_channels)
        self.num_outs = num_outs
        self.with_cp = with_cp
        self.pooling_type = pooling_type
        common: dict[str, Any] = {"conv_cfg": conv_cfg, "act_cfg": None}
        self.reduction_conv = ConvModule(sum(in_channels), out_channels, 1, **common)
        self.fpn_convs = nn.ModuleList(
            ConvModule(out_channels, out_channels, 3, stride=stride, padding=1, **common) for _ in range(num_outs)
        )

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Map one `(N, in_channels[l], H_l, W_l)` per level to `num_outs` maps, each half as large as the last."""
        check_levels(self, inputs, self.num_ins)
        size = inputs[0].shape[-2:]
        enlarged = [F.interpolate(x, size=size, mode="bilinear") for x in inputs[1:]]
        finest = recompute(self.reduction_conv, torch.cat([inputs[0], *enlarged], dim=1), self.with_cp)
        pool = _POOLINGS[self.pooling_type]
        levels = [finest, *(pool(finest, 2**step, 2**step) for step in range(1, self.num_outs))]
        return tuple(conv(level) for conv, level in zip(self.fpn_convs, levels, strict=True))
