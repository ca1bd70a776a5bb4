"""YOLOv3's way from coarse to fine levels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from raydet.layers import BN, BaseModule, Cfg, ConvModule, InitCfg
from raydet.necks.parts import check_levels

_LEAKY: Cfg = {"type": "LeakyReLU", "negative_slope": 0.1}


class YOLOV3Neck(BaseModule):
    """Five convolutions on the coarsest level; then each finer one joined to what came before (arXiv:1804.02767).

    Children: `detect1`, and for each finer level `conv<i>` and `detect<i + 1>`.

    Args:
        num_scales: number of levels.
        in_channels: channels of each input level, coarsest first, although the maps come finest first.
        out_channels: channels of each output level, coarsest first.
        conv_cfg: type of the convolutions.
        norm_cfg: normalisation.
        act_cfg: activation.
        init_cfg: how to initialise.

    Raises:
        ValueError: other numbers of channels than levels.
    """

    def __init__(
        self,
        num_scales: int,
        in_channels: Sequence[int],
        out_channels: Sequence[int],
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = BN,
        act_cfg: Cfg | None = _LEAKY,
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(init_cfg)
        if not num_scales == len(in_channels) == len(out_channels):
            raise ValueError(
                f"num_scales={num_scales} levels need as many in_channels and out_channels, "
                f"got {in_channels} and {out_channels}"
            )
        self.num_scales = num_scales
        common: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        self.detect1 = DetectionBlock(in_channels[0], out_channels[0], **common)
        for level in range(1, num_scales):
            before, after = out_channels[level - 1 : level + 1]
            self.add_module(f"conv{level}", ConvModule(before, after, 1, **common))
            self.add_module(f"detect{level + 1}", DetectionBlock(in_channels[level] + after, after, **common))

    def forward(self, feats: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Map `(N, C_l, H_l, W_l)`, finest first, to `(N, out_channels[l], H_l, W_l)`, coarsest first."""
        check_levels(self, feats, self.num_scales)
        outs = [self.detect1(feats[-1])]
        for level, finer in enumerate(reversed(feats[:-1]), start=1):
            enlarged = F.interpolate(getattr(self, f"conv{level}")(outs[-1]), size=finer.shape[-2:])
            outs.append(getattr(self, f"detect{level + 1}")(torch.cat([enlarged, finer], dim=1)))
        return tuple(outs)


class DetectionBlock(BaseModule):
    """1x1 and 3x3 convolutions in turn, five of them, `conv1` to `conv5`.

    Args:
        in_channels: of the map.
        out_channels: of the 1x1 convolutions; the 3x3 ones have twice as many.
        conv_cfg: type of the convolutions.
        norm_cfg: normalisation.
        act_cfg: activation.
        init_cfg: how to initialise.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = BN,
        act_cfg: Cfg | None = _LEAKY,
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(init_cfg)
        common: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        wide = 2 * out_channels
        self.conv1 = ConvModule(in_channels, out_channels, 1, **common)
        self.conv2 = ConvModule(out_channels, wide, 3, padding=1, **common)
        self.conv3 = ConvModule(wide, out_channels, 1, **common)
        self.conv4 = ConvModule(out_channels, wide, 3, padding=1, **common)
        self.conv5 = ConvModule(wide, out_channels, 1, **common)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, in_channels, H, W)` to `(N, out_channels, H, W)`."""
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4, self.conv5):
            x = conv(x)
        return x
