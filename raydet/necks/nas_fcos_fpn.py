"""NAS-FCOS's feature pyramid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from raydet.layers import BN, RELU, BaseModule, Cfg, ConcatCell, ConvModule, InitCfg, caffe2_xavier_init
from raydet.necks.parts import check_levels, end_of_levels

# The cells as the search found them: name, the two maps that each merges (inputs from 0, then what earlier cells gave),
# and whether it convolves the second.
CELLS = (
    ("c22_1", 2, 2, True),
    ("c22_2", 2, 2, True),
    ("c32", 3, 2, False),
    ("c02", 0, 2, False),
    ("c42", 4, 2, True),
    ("c36", 3, 6, True),
    ("c61", 6, 1, True),
)
SHARED = 5
"""The map that is added to every output."""
OUTPUTS = (9, 8, 7)


class NASFCOS_FPN(BaseModule):
    """Searched cells over three levels, then coarser levels (arXiv:1906.04423).

    Args:
        in_channels: channels of each input level.
        out_channels: channels of every output level.
        num_outs: number of output levels.
        start_level: first input level used; three must be.
        end_level: last input level used; -1 for the last there is.
        add_extra_convs: accepted for 2.x configs, without effect there as well.
        conv_cfg: type of the convolutions inside the cells.
        norm_cfg: their normalisation.
        init_cfg: how to initialise; convolutions outside the cells start with Caffe2's Xavier in any case.

    Raises:
        ValueError: other than three levels are used.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        num_outs: int,
        start_level: int = 1,
        end_level: int = -1,
        add_extra_convs: bool | str = False,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = None,
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(init_cfg)
        self.num_ins = len(in_channels)
        self.start_level = start_level
        self.end = end_of_levels(self.num_ins, num_outs, start_level, end_level)
        used = in_channels[start_level : self.end]
        if len(used) != len(OUTPUTS):
            raise ValueError(
                f"the cells of NASFCOS_FPN merge {len(OUTPUTS)} levels, but start_level={start_level} and "
                f"end_level={end_level} leave {len(used)} of {self.num_ins}"
            )
        self.adapt_convs = nn.ModuleList(
            ConvModule(channels, out_channels, 1, bias=False, norm_cfg=BN, inplace=False) for channels in used
        )
        self.fpn = nn.ModuleDict(
            {name: _cell(out_channels, conv_cfg, norm_cfg, second) for name, _, _, second in CELLS}
        )
        extra: dict[str, Any] = {"stride": 2, "padding": 1, "inplace": False, "order": ("act", "norm", "conv")}
        self.extra_downsamples = nn.ModuleList(
            ConvModule(out_channels, out_channels, 3, act_cfg=RELU if level else None, **extra)
            for level in range(num_outs - len(used))
        )

    def _initialize(self) -> None:
        super()._initialize()
        for module in (*self.adapt_convs, *self.extra_downsamples):
            caffe2_xavier_init(module.conv)

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Map one `(N, in_channels[l], H_l, W_l)` per input level to `num_outs` maps `(N, out_channels, h, w)`."""
        check_levels(self, inputs, self.num_ins)
        used = inputs[self.start_level : self.end]
        maps = [conv(x) for conv, x in zip(self.adapt_convs, used, strict=True)]
        for name, first, second, _ in CELLS:
            maps.append(self.fpn[name](maps[first], maps[second]))
        outs = [_resized(maps[i] + _resized(maps[SHARED], maps[i]), x) for i, x in zip(OUTPUTS, used, strict=True)]
        for shrink in self.extra_downsamples:
            outs.append(shrink(outs[-1]))
        return tuple(outs)


def _cell(channels: int, conv_cfg: Cfg | None, norm_cfg: Cfg | None, second: bool) -> ConcatCell:
    return ConcatCell(
        channels,
        channels,
        out_conv_cfg={"kernel_size": 1, "padding": 0, "bias": False, "groups": channels},
        out_norm_cfg=BN,
        out_conv_order=("norm", "act", "conv"),
        with_input1_conv=True,
        with_input2_conv=second,
        input_conv_cfg=conv_cfg,
        input_norm_cfg=norm_cfg,
    )


def _resized(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)
