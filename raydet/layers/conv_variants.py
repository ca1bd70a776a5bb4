"""Convolutions with another weight or another padding than torch's."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raydet.layers.padding import missing_pixels


def standardize_weight(weight: Tensor, eps: float = 1e-5) -> Tensor:
    """Give every output channel of `weight` zero mean and unit deviation (arXiv:1903.10520)."""
    shape = (-1, *[1] * (weight.dim() - 1))
    std, mean = torch.std_mean(weight.flatten(1), dim=1)
    return (weight - mean.view(shape)) / (std.view(shape) + eps)


class ConvWS2d(nn.Conv2d):
    """Convolution with standardised weights (arXiv:1903.10520).

    Args:
        in_channels: input channels.
        out_channels: output channels.
        kernel_size: size of the kernel.
        stride: stride.
        padding: pixels added on each side.
        dilation: spacing of the kernel's taps.
        groups: groups.
        bias: whether there is a bias.
        eps: added to the deviation.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        eps: float = 1e-5,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias)
        self.eps = eps

    def forward(self, input: Tensor) -> Tensor:
        out: Tensor = self._conv_forward(input, standardize_weight(self.weight, self.eps), self.bias)
        return out


class Conv2dAdaptivePadding(nn.Conv2d):
    """Convolution padded so that the output is `ceil(size / stride)`, as TensorFlow's "same"; `padding` is ignored.

    Args:
        in_channels: input channels.
        out_channels: output channels.
        kernel_size: size of the kernel.
        stride: stride.
        padding: ignored.
        dilation: spacing of the kernel's taps.
        groups: groups.
        bias: whether there is a bias.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: Any = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, 0, dilation, groups, bias)

    def forward(self, input: Tensor) -> Tensor:
        axes = zip(input.shape[-2:], self.kernel_size, self.stride, self.dilation, strict=True)
        height, width = (missing_pixels(*axis) for axis in axes)
        if height or width:
            input = F.pad(input, (width // 2, width - width // 2, height // 2, height - height // 2))
        out: Tensor = self._conv_forward(input, self.weight, self.bias)
        return out
