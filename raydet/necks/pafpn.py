"""Path aggregation network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from raydet.layers import Cfg, ConvModule, InitCfg
from raydet.necks.fpn import FPN
from raydet.necks.parts import XAVIER


class PAFPN(FPN):
    """A feature pyramid with a second, bottom-up path of sums (arXiv:1803.01534).

    Args:
        in_channels: channels of each input level.
        out_channels: channels of every output level.
        num_outs: number of output levels.
        start_level: first input level used.
        end_level: last input level used; -1 for the last there is.
        add_extra_convs: how extra levels come about, see `FPN`.
        relu_before_extra_convs: put a ReLU before the extra convolutions, the first one apart.
        no_norm_on_lateral: leave the lateral convolutions without normalisation.
        conv_cfg: type of the convolutions.
        norm_cfg: normalisation.
        act_cfg: activation.
        init_cfg: how to initialise.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        num_outs: int,
        start_level: int = 0,
        end_level: int = -1,
        add_extra_convs: bool | str = False,
        relu_before_extra_convs: bool = False,
        no_norm_on_lateral: bool = False,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = None,
        act_cfg: Cfg | None = None,
        init_cfg: InitCfg = XAVIER,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            num_outs,
            start_level,
            end_level,
            add_extra_convs,
            relu_before_extra_convs,
            no_norm_on_lateral,
            conv_cfg,
            norm_cfg,
            act_cfg,
            init_cfg=init_cfg,
        )
        steps = range(len(self.lateral_convs) - 1)

        def conv(stride: int) -> ConvModule:
            options: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
            return ConvModule(out_channels, out_channels, 3, stride=stride, padding=1, inplace=False, **options)

        self.downsample_convs = nn.ModuleList(conv(2) for _ in steps)
        self.pafpn_convs = nn.ModuleList(conv(1) for _ in steps)

    def _refine(self, outs: list[Tensor]) -> list[Tensor]:
        """Carry fine levels up into coarse ones."""
        summed = [outs[0]]
        for shrink, out in zip(self.downsample_convs, outs[1:], strict=True):
            summed.append(out + shrink(summed[-1]))
        return [summed[0], *(conv(x) for conv, x in zip(self.pafpn_convs, summed[1:], strict=True))]
