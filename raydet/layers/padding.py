"""Padding that depends on the size of the map."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.utils import _pair


def missing_pixels(size: int, kernel_size: int, stride: int, dilation: int) -> int:
    """Pixels that an axis lacks so that a sliding kernel gives `ceil(size / stride)` outputs."""
    reach = dilation * (kernel_size - 1) + 1
    return max((math.ceil(size / stride) - 1) * stride + reach - size, 0)


class AdaptivePadding(nn.Module):
    """Pad with zeros until a sliding kernel covers every pixel.

    Args:
        kernel_size: size of the kernel.
        stride: its stride.
        dilation: spacing of its taps.
        padding: "corner" pads right and below, "same" on all sides.
    """

    def __init__(
        self,
        kernel_size: int | tuple[int, int] = 1,
        stride: int | tuple[int, int] = 1,
        dilation: int | tuple[int, int] = 1,
        padding: str = "corner",
    ) -> None:
        super().__init__()
        if padding not in ("same", "corner"):
            raise ValueError(f"padding must be 'corner' or 'same', got {padding!r}")
        self.padding = padding
        self.kernel_size: tuple[int, int] = _pair(kernel_size)
        self.stride: tuple[int, int] = _pair(stride)
        self.dilation: tuple[int, int] = _pair(dilation)

    def get_pad_shape(self, input_shape: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns that a map `(H, W)` lacks."""
        height, width = (
            missing_pixels(*axis)
            for axis in zip(input_shape, self.kernel_size, self.stride, self.dilation, strict=True)
        )
        return height, width

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C, H, W)` to `(N, C, H + rows, W + columns)`."""
        height, width = self.get_pad_shape((x.shape[-2], x.shape[-1]))
        if not height and not width:
            return x
        top, left = (height // 2, width // 2) if self.padding == "same" else (0, 0)
        return F.pad(x, (left, width - left, top, height - top))
