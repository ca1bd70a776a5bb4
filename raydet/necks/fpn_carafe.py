"""A feature pyramid that enlarges by content."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from raydet.layers import BaseModule, Cfg, ConvModule, InitCfg, build_upsample_layer, xavier_init
from raydet.necks.parts import check_levels, end_of_levels

_UPSAMPLE: Cfg = {"type": "carafe", "up_kernel": 5, "up_group": 1, "encoder_kernel": 3, "encoder_dilation": 1}
_ORDERS = (("conv", "norm", "act"), ("act", "conv", "norm"))


class FPN_CARAFE(BaseModule):
    """A feature pyramid, extra levels included in its top-down path, with any way to enlarge (arXiv:1905.02188).

    Args:
        in_channels: channels of each input level.
        out_channels: channels of every output level.
        num_outs: number of output levels.
        start_level: first input level used.
        end_level: last input level used; -1 for the last there is.
        norm_cfg: normalisation.
        act_cfg: activation.
        order: of "conv", "norm" and "act" in every convolution.
        upsample_cfg: `type` "carafe", "deconv", "pixel_shuffle" (these two with `upsample_kernel`), "nearest" or
            "bilinear", and its arguments.
        init_cfg: how to initialise; convolutions start with Xavier's draw in any case.

    Raises:
        ValueError: unknown `order` or type of `upsample_cfg`.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        num_outs: int,
        start_level: int = 0,
        end_level: int = -1,
        norm_cfg: Cfg | None = None,
        act_cfg: Cfg | None = None,
        order: Sequence[str] = ("conv", "norm", "act"),
        upsample_cfg: Cfg = _UPSAMPLE,
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(init_cfg)
        if tuple(order) not in _ORDERS:
            raise ValueError(f"order must be one of {_ORDERS}, got {order!r}")
        self.num_ins = len(in_channels)
        self.start_level = start_level
        self.end = end_of_levels(self.num_ins, num_outs, start_level, end_level)
        common: dict[str, Any] = {"norm_cfg": norm_cfg, "act_cfg": act_cfg, "inplace": False, "order": order}
        used = in_channels[start_level : self.end]
        extra = [used[-1], *[out_channels] * num_outs][: num_outs - len(used)]
        self.lateral_convs = nn.ModuleList(
            [
                *(ConvModule(channels, out_channels, 1, **common) for channels in used),
                *(ConvModule(channels, out_channels, 3, stride=2, padding=1, **common) for channels in extra),
            ]
        )
        self.fpn_convs = nn.ModuleList(
            ConvModule(out_channels, out_channels, 3, padding=1, **common) for _ in range(num_outs)
        )
        self.upsample_modules = nn.ModuleList(_enlarger(upsample_cfg, out_channels) for _ in range(num_outs - 1))

    def _initialize(self) -> None:
        super()._initialize()
        for module in (*self.lateral_convs.modules(), *self.fpn_convs.modules(), *self.upsample_modules):
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                xavier_init(module, distribution="uniform")

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Map one `(N, in_channels[l], H_l, W_l)` per input level to `num_outs` maps `(N, out_channels, h, w)`."""
        check_levels(self, inputs, self.num_ins)
        used = inputs[self.start_level : self.end]
        maps = [conv(x) for conv, x in zip(self.lateral_convs, used, strict=False)]
        source = used[-1]
        for conv in self.lateral_convs[len(used) :]:
            source = conv(source)
            maps.append(source)
        for level in range(len(maps) - 1, 0, -1):
            enlarged = self.upsample_modules[level - 1](maps[level])
            height, width = maps[level - 1].shape[-2:]
            maps[level - 1] = maps[level - 1] + enlarged[..., :height, :width]
        return tuple(conv(x) for conv, x in zip(self.fpn_convs, maps, strict=True))


def _enlarger(cfg: Cfg, channels: int) -> nn.Module:
    """A module that doubles the size of maps of `channels`."""
    kind, options = cfg["type"], dict(cfg)
    both = {"in_channels": channels, "out_channels": channels}
    if kind in ("deconv", "pixel_shuffle") and not options.get("upsample_kernel", 0) > 0:
        raise ValueError(f"upsample_cfg of type {kind!r} needs a positive upsample_kernel, got {dict(cfg)}")
    if kind == "carafe":
        options |= {"channels": channels, "scale_factor": 2}
    elif kind == "pixel_shuffle":
        options |= {**both, "scale_factor": 2}
    elif kind == "deconv":
        kernel = options.pop("upsample_kernel")
        padding = (kernel - 1) // 2
        options |= {**both, "kernel_size": kernel, "stride": 2, "padding": padding, "output_padding": padding}
    elif kind in ("nearest", "bilinear"):
        options |= {"scale_factor": 2, "align_corners": None if kind == "nearest" else False}
    else:
        raise ValueError(
            f"upsample_cfg.type must be 'carafe', 'deconv', 'pixel_shuffle', 'nearest' or 'bilinear', got {kind!r}"
        )
    return build_upsample_layer(options)
