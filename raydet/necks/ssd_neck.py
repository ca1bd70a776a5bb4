"""SSD's extra levels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from raydet.layers import RELU, BaseModule, Cfg, ConvModule, DepthwiseSeparableConvModule, InitCfg
from raydet.necks.parts import check_levels

_INIT: InitCfg = [
    {"type": "Xavier", "distribution": "uniform", "layer": "Conv2d"},
    {"type": "Constant", "val": 1, "layer": "BatchNorm2d"},
]


class SSDNeck(BaseModule):
    """The inputs, the first one normalised, and coarser levels after the last (arXiv:1512.02325).

    Args:
        in_channels: channels of each input level.
        out_channels: channels of each output level; begins with `in_channels`.
        level_strides: stride of each extra level's 3x3 convolution.
        level_paddings: its padding.
        l2_norm_scale: length that the vectors of the first level start with; None leaves that level alone.
        last_kernel_size: kernel of the last extra level.
        use_depthwise: convolve depthwise and pointwise.
        conv_cfg: type of the convolutions.
        norm_cfg: normalisation.
        act_cfg: activation.
        init_cfg: how to initialise.

    Raises:
        ValueError: channels, strides and paddings that contradict each other.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: Sequence[int],
        level_strides: Sequence[int],
        level_paddings: Sequence[int],
        l2_norm_scale: float | None = 20.0,
        last_kernel_size: int = 3,
        use_depthwise: bool = False,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = None,
        act_cfg: Cfg | None = RELU,
        init_cfg: InitCfg = _INIT,
    ) -> None:
        super().__init__(init_cfg)
        num_ins, num_extra = len(in_channels), len(out_channels) - len(in_channels)
        if tuple(out_channels[:num_ins]) != tuple(in_channels) or num_extra < 1:
            raise ValueError(f"out_channels={out_channels} must begin with in_channels={in_channels} and go on")
        if len(level_strides) != num_extra or len(level_paddings) != num_extra:
            raise ValueError(
                f"{num_extra} extra levels need as many level_strides and level_paddings, "
                f"got {level_strides} and {level_paddings}"
            )
        self.num_ins = num_ins
        self.l2_norm = L2Norm(in_channels[0], l2_norm_scale) if l2_norm_scale else None
        common: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        second = DepthwiseSeparableConvModule if use_depthwise else ConvModule
        self.extra_layers = nn.ModuleList()
        for level, (stride, padding) in enumerate(zip(level_strides, level_paddings, strict=True)):
            before, after = out_channels[num_ins + level - 1 : num_ins + level + 1]
            kernel = last_kernel_size if level == num_extra - 1 else 3
            narrow = ConvModule(before, after // 2, 1, **common)
            wide = second(after // 2, after, kernel, stride=stride, padding=padding, **common)
            self.extra_layers.append(nn.Sequential(narrow, wide))

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Map `(N, in_channels[l], H_l, W_l)` to one map per entry of `out_channels`."""
        check_levels(self, inputs, self.num_ins)
        outs = list(inputs)
        if self.l2_norm is not None:
            outs[0] = self.l2_norm(outs[0])
        last = outs[-1]
        for layer in self.extra_layers:
            last = layer(last)
            outs.append(last)
        return tuple(outs)


class L2Norm(nn.Module):
    """Every pixel's vector at length 1, times a weight per channel (arXiv:1506.04579).

    Args:
        n_dims: channels.
        scale: what the weights start with.
        eps: keeps the length of zero vectors from zero.
    """

    def __init__(self, n_dims: int, scale: float = 20.0, eps: float = 1e-10) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((n_dims,), float(scale)))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, n_dims, H, W)` to the same shape; lengths are computed in float32."""
        exact = x.float()
        length = exact.pow(2).sum(1, keepdim=True).sqrt() + self.eps
        return (self.weight.float()[:, None, None] * exact / length).type_as(x)
