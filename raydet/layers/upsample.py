"""Upsampling by a convolution."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from raydet.layers.init_functions import xavier_init


class PixelShufflePack(nn.Module):
    """A convolution to `scale_factor**2` times the channels, whose surplus becomes pixels (arXiv:1609.05158).

    Args:
        in_channels: input channels.
        out_channels: output channels.
        scale_factor: how much larger the output is.
        upsample_kernel: kernel of the convolution.
    """

    def __init__(self, in_channels: int, out_channels: int, scale_factor: int, upsample_kernel: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.scale_factor = scale_factor
        self.upsample_kernel = upsample_kernel
        self.upsample_conv = nn.Conv2d(
            in_channels, out_channels * scale_factor**2, upsample_kernel, padding=(upsample_kernel - 1) // 2
        )
        self.init_weights()

    def init_weights(self) -> None:
        """Xavier, uniform."""
        xavier_init(self.upsample_conv, distribution="uniform")

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, in_channels, H, W)` to `(N, out_channels, s H, s W)`."""
        return F.pixel_shuffle(self.upsample_conv(x), self.scale_factor)
