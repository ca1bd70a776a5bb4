"""YOLOX's path aggregation network."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from raydet.layers import BaseModule, Cfg, ConvModule, CSPLayer, DepthwiseSeparableConvModule, InitCfg
from raydet.layers.csp import CSP_ACT, CSP_INIT, CSP_NORM
from raydet.necks.parts import check_levels

_UPSAMPLE: Cfg = {"scale_factor": 2, "mode": "nearest"}


class YOLOXPAFPN(BaseModule):
    """A top-down and a bottom-up path that join maps instead of adding them (arXiv:2107.08430).

    Args:
        in_channels: channels of each input level, finest first.
        out_channels: channels of every output level.
        num_csp_blocks: bottlenecks of each cross stage partial layer.
        use_depthwise: convolve depthwise and pointwise.
        upsample_cfg: arguments of `torch.nn.Upsample`.
        conv_cfg: type of the convolutions.
        norm_cfg: normalisation.
        act_cfg: activation.
        init_cfg: how to initialise.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        num_csp_blocks: int = 3,
        use_depthwise: bool = False,
        upsample_cfg: Cfg = _UPSAMPLE,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg = CSP_NORM,
        act_cfg: Cfg = CSP_ACT,
        init_cfg: InitCfg = CSP_INIT,
    ) -> None:
        super().__init__(init_cfg)
        common: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        conv = DepthwiseSeparableConvModule if use_depthwise else ConvModule

        def join(before: int, after: int) -> CSPLayer:
            blocks: dict[str, Any] = {
                "num_blocks": num_csp_blocks,
                "add_identity": False,
                "use_depthwise": use_depthwise,
            }
            return CSPLayer(before, after, **blocks, **common)

        steps = list(pairwise(in_channels))
        self.upsample = nn.Upsample(**upsample_cfg)
        self.reduce_layers = nn.ModuleList(ConvModule(coarse, fine, 1, **common) for fine, coarse in reversed(steps))
        self.top_down_blocks = nn.ModuleList(join(2 * fine, fine) for fine, _ in reversed(steps))
        self.downsamples = nn.ModuleList(conv(fine, fine, 3, stride=2, padding=1, **common) for fine, _ in steps)
        self.bottom_up_blocks = nn.ModuleList(join(2 * fine, coarse) for fine, coarse in steps)
        self.out_convs = nn.ModuleList(ConvModule(channels, out_channels, 1, **common) for channels in in_channels)

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Map one `(N, in_channels[l], H_l, W_l)` per level to maps `(N, out_channels, H_l, W_l)`."""
        check_levels(self, inputs, len(self.out_convs))
        coarse, reduced = inputs[-1], []
        for fine, reduce, join in zip(reversed(inputs[:-1]), self.reduce_layers, self.top_down_blocks, strict=True):
            reduced.append(reduce(coarse))
            coarse = join(torch.cat([self.upsample(reduced[-1]), fine], dim=1))
        outs = [coarse]
        for fine, shrink, join in zip(reversed(reduced), self.downsamples, self.bottom_up_blocks, strict=True):
            outs.append(join(torch.cat([shrink(outs[-1]), fine], dim=1)))
        return tuple(conv(out) for conv, out in zip(self.out_convs, outs, strict=True))
