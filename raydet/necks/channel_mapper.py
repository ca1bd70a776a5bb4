"""One number of channels on all levels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from raydet.layers import RELU, BaseModule, Cfg, ConvModule, InitCfg
from raydet.necks.parts import XAVIER, check_levels


class ChannelMapper(BaseModule):
    """A convolution per level, and extra coarse levels by convolutions of stride 2.

    Args:
        in_channels: channels of each input level.
        out_channels: channels of every output level.
        kernel_size: side of the convolutions, padded to keep the size.
        conv_cfg: type of the convolutions.
        norm_cfg: normalisation.
        act_cfg: activation.
        num_outs: number of output levels; None for as many as there are inputs.
        init_cfg: how to initialise.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        kernel_size: int = 3,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = None,
        act_cfg: Cfg | None = RELU,
        num_outs: int | None = None,
        init_cfg: InitCfg = XAVIER,
    ) -> None:
        super().__init__(init_cfg)
        num_ins = len(in_channels)
        num_outs = num_ins if num_outs is None else num_outs
        common: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        padding = (kernel_size - 1) // 2
        self.convs = nn.ModuleList(
            ConvModule(channels, out_channels, kernel_size, padding=padding, **common) for channels in in_channels
        )
        self.extra_convs: nn.ModuleList | None = None
        if num_outs > num_ins:
            sources = [in_channels[-1], *[out_channels] * (num_outs - num_ins - 1)]
            self.extra_convs = nn.ModuleList(
                ConvModule(channels, out_channels, 3, stride=2, padding=1, **common) for channels in sources
            )

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Map one `(N, in_channels[l], H_l, W_l)` per level to maps `(N, out_channels, h, w)`."""
        check_levels(self, inputs, len(self.convs))
        outs = [conv(x) for conv, x in zip(self.convs, inputs, strict=True)]
        last = inputs[-1]
        for conv in self.extra_convs or ():
            last = conv(last)
            outs.append(last)
        return tuple(outs)
