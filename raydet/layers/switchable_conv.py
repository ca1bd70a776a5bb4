"""Switchable atrous convolution of DetectoRS (arXiv:2006.02334), and the standardised convolution beneath."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from raydet_ops import deform_conv2d
from torch import Tensor, nn

from raydet.layers.init_functions import constant_init

Size = int | tuple[int, int]


class ConvAWS2d(nn.Conv2d):
    """Convolution whose weight is standardised per output channel, then scaled and shifted by fixed numbers.

    A checkpoint of an ordinary convolution gives scale and shift such that the layer starts as that convolution.

    Args:
        in_channels: input channels.
        out_channels: output channels.
        kernel_size: size of the kernel.
        stride: stride.
        padding: pixels added on each side.
        dilation: spacing of the kernel's taps.
        groups: groups.
        bias: whether there is a bias.
    """

    weight_gamma: Tensor
    weight_beta: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias)
        self.register_buffer("weight_gamma", torch.ones(out_channels, 1, 1, 1))
        self.register_buffer("weight_beta", torch.zeros(out_channels, 1, 1, 1))

    def standard_weight(self) -> Tensor:
        """The weight that the layer convolves with."""
        mean, std = _moments(self.weight)
        return self.weight_gamma * ((self.weight - mean) / std) + self.weight_beta

    def forward(self, input: Tensor) -> Tensor:
        out: Tensor = self._conv_forward(input, self.standard_weight(), self.bias)
        return out

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: Any,
        strict: bool,
        missing_keys: list[str],
        *rest: Any,
    ) -> None:
        missing: list[str] = []
        super()._load_from_state_dict(state_dict, prefix, local_metadata, strict, missing, *rest)
        if f"{prefix}weight_gamma" not in state_dict:
            mean, std = _moments(self.weight.detach())
            self.weight_beta.copy_(mean)
            self.weight_gamma.copy_(std)
            missing = [key for key in missing if not key.endswith(("weight_gamma", "weight_beta"))]
        missing_keys += missing


def _add_context(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """Add what `conv` makes of the mean over all pixels."""
    mean: Tensor = conv(F.adaptive_avg_pool2d(x, 1))
    return x + mean


def _moments(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of every output channel."""
    variance, mean = torch.var_mean(weight.flatten(1), dim=1)
    return mean.view(-1, 1, 1, 1), (variance + 1e-5).sqrt().view(-1, 1, 1, 1)


class SAConv2d(ConvAWS2d):
    """Convolution at two dilations, the second three times the first, mixed by a switch per pixel (type `SAC`).

    The global mean of the image is added before and after. As in 2.x the bias is a parameter without effect.

    Args:
        in_channels: input channels.
        out_channels: output channels.
        kernel_size: size of the kernel.
        stride: stride.
        padding: pixels added on each side.
        dilation: the smaller spacing of the kernel's taps.
        groups: groups.
        bias: whether the checkpoint has a bias.
        use_deform: move the taps by predicted offsets; the kernel must be 3x3.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        use_deform: bool = False,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias)
        self.use_deform = use_deform
        self.switch = nn.Conv2d(in_channels, 1, 1, stride=stride)
        self.weight_diff = nn.Parameter(torch.empty_like(self.weight))
        self.pre_context = nn.Conv2d(in_channels, in_channels, 1)
        self.post_context = nn.Conv2d(out_channels, out_channels, 1)
        if use_deform:
            self.offset_s = nn.Conv2d(in_channels, 18, 3, padding=1, stride=stride)
            self.offset_l = nn.Conv2d(in_channels, 18, 3, padding=1, stride=stride)
        self.init_weights()

    def init_weights(self) -> None:
        """Zero all but the convolution, and switch to the smaller dilation."""
        constant_init(self.switch, 0, bias=1)
        nn.init.zeros_(self.weight_diff)
        for name in ("pre_context", "post_context", "offset_s", "offset_l"):
            if hasattr(self, name):
                constant_init(getattr(self, name), 0)

    def forward(self, input: Tensor) -> Tensor:
        x = _add_context(input, self.pre_context)
        smooth = F.avg_pool2d(F.pad(x, (2, 2, 2, 2), mode="reflect"), 5, stride=1)
        switch = self.switch(smooth)
        weight = self.standard_weight()
        near = self._convolve(x, smooth, weight, "offset_s", 1)
        far = self._convolve(x, smooth, weight + self.weight_diff, "offset_l", 3)
        return _add_context(switch * near + (1 - switch) * far, self.post_context)

    def _convolve(self, x: Tensor, smooth: Tensor, weight: Tensor, offsets: str, reach: int) -> Tensor:
        """Convolve with `reach` times the dilation and padding."""
        steps = (_times(1, self.stride), _times(reach, self.padding), _times(reach, self.dilation))
        if not self.use_deform:
            return F.conv2d(x, weight, None, *steps, self.groups)
        return deform_conv2d(x, getattr(self, offsets)(smooth), weight, *steps, self.groups)


def _times(factor: int, numbers: Any) -> tuple[int, int]:
    y, x = numbers
    return factor * y, factor * x
