"""Deformable convolutions as modules, with given offsets or with a convolution of their own that predicts them."""

from __future__ import annotations

import math
import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.utils import _pair

from raydet_ops.deform_conv import Size, deform_conv2d, modulated_deform_conv2d


class _DeformConv(nn.Module):
    """What both have in common: numbers and a weight."""

    _version = 2  # in the first one `conv_offset` stood beside the layer: raydet.checkpoint moves it
    values_per_tap = 2  # that `conv_offset` predicts

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size,
        padding: Size,
        dilation: Size,
        groups: int,
        deform_groups: int,
        deformable_groups: int | None,
    ) -> None:
        super().__init__()
        if deformable_groups is not None:
            warnings.warn("deformable_groups is the old name of deform_groups", DeprecationWarning)
            deform_groups = deformable_groups
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(
                f"groups must divide in_channels {in_channels} and out_channels {out_channels}, got {groups}"
            )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size: tuple[int, int] = _pair(kernel_size)
        self.stride: tuple[int, int] = _pair(stride)
        self.padding: tuple[int, int] = _pair(padding)
        self.dilation: tuple[int, int] = _pair(dilation)
        self.groups = groups
        self.deform_groups = deform_groups
        self.transposed = False
        self.output_padding = (0, 0)
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels // groups, *self.kernel_size))

    def _make_conv_offset(self) -> nn.Conv2d:
        """A convolution of zeros: the taps begin where those of an ordinary convolution are."""
        channels = self.deform_groups * self.values_per_tap * self.kernel_size[0] * self.kernel_size[1]
        conv = nn.Conv2d(
            self.in_channels, channels, self.kernel_size, self.stride, self.padding, self.dilation, bias=True
        )
        return _zero(conv)

    def extra_repr(self) -> str:
        """The numbers, as torch's convolutions show them."""
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"padding={self.padding}, dilation={self.dilation}, groups={self.groups}, "
            f"deform_groups={self.deform_groups}"
        )


class DeformConv2d(_DeformConv):
    """Deformable convolution (arXiv:1703.06211) with offsets from outside.

    Args:
        in_channels: input channels.
        out_channels: output channels.
        kernel_size: size of the kernel.
        stride: stride.
        padding: pixels of zeros on each side.
        dilation: spacing of the taps.
        groups: groups of the convolution.
        deform_groups: groups of channels with offsets of their own.
        bias: must be False.
        im2col_step: without meaning here.
        deformable_groups: old name of `deform_groups`.
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
        deform_groups: int = 1,
        bias: bool = False,
        im2col_step: int = 32,
        deformable_groups: int | None = None,
    ) -> None:
        sizes = (kernel_size, stride, padding, dilation)
        super().__init__(in_channels, out_channels, *sizes, groups, deform_groups, deformable_groups)
        if bias:
            raise ValueError(f"bias must be False: {type(self).__name__} has none")
        self.im2col_step = im2col_step
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Kaiming for ReLU, uniform."""
        nn.init.kaiming_uniform_(self.weight, nonlinearity="relu")

    def forward(self, x: Tensor, offset: Tensor) -> Tensor:
        """Map `(N, C, H, W)` to `(N, O, H', W')` by offsets `(N, deform_groups * h * w * 2, H', W')` of y, x."""
        return deform_conv2d(
            x, offset, self.weight, self.stride, self.padding, self.dilation, self.groups, self.deform_groups
        )


class DeformConv2dPack(DeformConv2d):
    """Deformable convolution that predicts its offsets (type `DCN`). Arguments are those of `DeformConv2d`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conv_offset = self._make_conv_offset()

    def init_offset(self) -> None:
        """Begin with offsets of zero."""
        _zero(self.conv_offset)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """Map `(N, C, H, W)` to `(N, O, H', W')`."""
        return super().forward(x, self.conv_offset(x))


class ModulatedDeformConv2d(_DeformConv):
    """Modulated deformable convolution (arXiv:1811.11168) with offsets and masks from outside.

    Args:
        in_channels: input channels.
        out_channels: output channels.
        kernel_size: size of the kernel.
        stride: stride.
        padding: pixels of zeros on each side.
        dilation: spacing of the taps.
        groups: groups of the convolution.
        deform_groups: groups of channels with offsets and masks of their own.
        bias: whether there is a bias.
        deformable_groups: old name of `deform_groups`.
    """

    values_per_tap = 3

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        dilation: Size = 1,
        groups: int = 1,
        deform_groups: int = 1,
        bias: bool | str = True,
        deformable_groups: int | None = None,
    ) -> None:
        sizes = (kernel_size, stride, padding, dilation)
        super().__init__(in_channels, out_channels, *sizes, groups, deform_groups, deformable_groups)
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        self.init_weights()

    def init_weights(self) -> None:
        """Uniform within one over the root of the number of inputs; a bias of zero."""
        bound = 1 / math.sqrt(self.in_channels * self.kernel_size[0] * self.kernel_size[1])
        nn.init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
        """Map `(N, C, H, W)` to `(N, O, H', W')`; the mask is `(N, deform_groups * h * w, H', W')`."""
        return modulated_deform_conv2d(
            x,
            offset,
            mask,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
            self.deform_groups,
        )


class ModulatedDeformConv2dPack(ModulatedDeformConv2d):
    """Modulated deformable convolution that predicts its offsets and masks (type `DCNv2`).

    Arguments are those of `ModulatedDeformConv2d`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conv_offset = self._make_conv_offset()

    def init_weights(self) -> None:
        """As the class above; with offsets of zero and masks of a half."""
        super().init_weights()
        if hasattr(self, "conv_offset"):
            _zero(self.conv_offset)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """Map `(N, C, H, W)` to `(N, O, H', W')`."""
        y_or_x, more, mask = self.conv_offset(x).chunk(3, dim=1)
        return super().forward(x, torch.cat([y_or_x, more], dim=1), mask.sigmoid())


def _zero(conv: nn.Conv2d) -> nn.Conv2d:
    for parameter in conv.parameters():
        nn.init.zeros_(parameter)
    return conv
