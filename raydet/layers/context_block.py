"""The block of global context networks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from raydet.layers.init_functions import constant_init, kaiming_init

_FUSIONS = ("channel_add", "channel_mul")


class ContextBlock(nn.Module):
    """Gather one vector from a whole map and add it to, or multiply it with, every pixel (arXiv:1904.11492).

    Args:
        in_channels: channels of input and output.
        ratio: channels of the bottleneck divided by `in_channels`.
        pooling_type: "att" for a learned weighting of the pixels, "avg" for their mean.
        fusion_types: "channel_add", "channel_mul" or both.
    """

    _abbr_ = "context_block"

    def __init__(
        self,
        in_channels: int,
        ratio: float,
        pooling_type: str = "att",
        fusion_types: Sequence[str] = ("channel_add",),
    ) -> None:
        super().__init__()
        if pooling_type not in ("att", "avg"):
            raise ValueError(f"pooling_type must be 'att' or 'avg', got {pooling_type!r}")
        if isinstance(fusion_types, str) or not fusion_types or not set(fusion_types) <= set(_FUSIONS):
            raise ValueError(f"fusion_types must be a list of some of {_FUSIONS}, got {fusion_types!r}")
        planes = int(in_channels * ratio)
        self.conv_mask = nn.Conv2d(in_channels, 1, 1) if pooling_type == "att" else None
        self.channel_add_conv = _transform(in_channels, planes) if "channel_add" in fusion_types else None
        self.channel_mul_conv = _transform(in_channels, planes) if "channel_mul" in fusion_types else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Kaiming for the weighting of pixels, zero for the last layers."""
        if self.conv_mask is not None:
            kaiming_init(self.conv_mask, mode="fan_in")
        for transform in (self.channel_add_conv, self.channel_mul_conv):
            if transform is not None:
                constant_init(transform[-1], 0)

    def _context(self, x: Tensor) -> Tensor:
        if self.conv_mask is None:
            return x.mean((-2, -1), keepdim=True)
        weights = self.conv_mask(x).flatten(2).softmax(dim=2)  # (N, 1, H * W)
        return torch.matmul(x.flatten(2), weights.transpose(1, 2)).unsqueeze(-1)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C, H, W)` to the same shape."""
        context = self._context(x)
        if self.channel_mul_conv is not None:
            x = x * self.channel_mul_conv(context).sigmoid()
        if self.channel_add_conv is not None:
            x = x + self.channel_add_conv(context)
        return x


def _transform(channels: int, planes: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, planes, 1),
        nn.LayerNorm([planes, 1, 1]),
        nn.ReLU(inplace=True),
        nn.Conv2d(planes, channels, 1),
    )
