"""NAS-FPN."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from raydet.layers import BaseModule, Cfg, ConvModule, GlobalPoolingCell, InitCfg, SumCell
from raydet.necks.parts import end_of_levels, entry_levels

_INIT: Cfg = {"type": "Caffe2Xavier", "layer": "Conv2d"}
LEVELS = ("p3", "p4", "p5", "p6", "p7")
# One stage as the search found it: name of the cell, its kind, the two maps that it merges, the level whose size the
# result has, and the name under which later cells find it.
STAGE = (
    ("gp_64_4", GlobalPoolingCell, "p6", "p4", "p4", "mixed"),
    ("sum_44_4", SumCell, "mixed", "p4", "p4", "middle"),
    ("sum_43_3", SumCell, "middle", "p3", "p3", "p3"),
    ("sum_34_4", SumCell, "p3", "middle", "p4", "p4"),
    ("gp_43_5", GlobalPoolingCell, "p4", "p3", "p5", "mixed"),
    ("sum_55_5", SumCell, "p5", "mixed", "p5", "p5"),
    ("gp_54_7", GlobalPoolingCell, "p5", "middle", "p7", "mixed"),
    ("sum_77_7", SumCell, "p7", "mixed", "p7", "p7"),
    ("gp_75_6", GlobalPoolingCell, "p7", "p5", "p6", "p6"),
)
WITHOUT_CONV = ("gp_43_5", "gp_54_7")


class NASFPN(BaseModule):
    """A pyramid whose way of merging levels was searched for, repeated (arXiv:1904.07392).

    Args:
        in_channels: channels of each input level.
        out_channels: channels of every output level.
        num_outs: number of output levels; the stages want 5.
        stack_times: number of stages.
        start_level: first input level used.
        end_level: last input level used; -1 for the last there is.
        add_extra_convs: accepted for 2.x configs, without effect there as well.
        norm_cfg: normalisation.
        init_cfg: how to initialise.

    Raises:
        ValueError: `num_outs` is not 5, or levels that contradict each other.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        num_outs: int,
        stack_times: int,
        start_level: int = 0,
        end_level: int = -1,
        add_extra_convs: bool | str = False,
        norm_cfg: Cfg | None = None,
        init_cfg: InitCfg = _INIT,
    ) -> None:
        super().__init__(init_cfg)
        if num_outs != len(LEVELS):
            raise ValueError(f"the stages of NASFPN merge {len(LEVELS)} levels; num_outs must be that, got {num_outs}")
        self.num_ins = len(in_channels)
        self.start_level = start_level
        self.end = end_of_levels(self.num_ins, num_outs, start_level, end_level)
        plain: dict[str, Any] = {"norm_cfg": norm_cfg, "act_cfg": None}
        used = in_channels[start_level : self.end]
        self.lateral_convs = nn.ModuleList(ConvModule(channels, out_channels, 1, **plain) for channels in used)
        self.extra_downsamples = nn.ModuleList(
            nn.Sequential(ConvModule(out_channels, out_channels, 1, **plain), nn.MaxPool2d(2, 2))
            for _ in range(num_outs - len(used))
        )
        self.fpn_stages = nn.ModuleList(_stage(out_channels, norm_cfg) for _ in range(stack_times))

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Map one `(N, in_channels[l], H_l, W_l)` per input level to 5 maps `(N, out_channels, h, w)`."""
        maps = dict(zip(LEVELS, entry_levels(self, inputs), strict=True))
        for stage in self.fpn_stages:
            for name, _, first, second, size, target in STAGE:
                maps[target] = stage[name](maps[first], maps[second], out_size=maps[size].shape[-2:])  # type: ignore[index]
        return tuple(maps[level] for level in LEVELS)


def _stage(channels: int, norm_cfg: Cfg | None) -> nn.ModuleDict:
    return nn.ModuleDict(
        {
            name: kind(channels, channels, out_norm_cfg=norm_cfg, with_out_conv=name not in WITHOUT_CONV)
            for name, kind, *_ in STAGE
        }
    )
