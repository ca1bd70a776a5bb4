"""Criss-cross attention (arXiv:1811.11721): every pixel looks along its row and its column."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from raydet.layers.scale import Scale


class CrissCrossAttention(nn.Module):
    """Add what each pixel gathers along its row and column, times a factor that begins at zero.

    All its work is batched matrix products and a softmax, which torch does as fast as a kernel could.

    Args:
        in_channels: channels of the map; queries and keys have an eighth of them.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        if in_channels < 8:
            raise ValueError(f"in_channels must be at least 8, got {in_channels}")
        self.query_conv = nn.Conv2d(in_channels, in_channels // 8, 1)
        self.key_conv = nn.Conv2d(in_channels, in_channels // 8, 1)
        self.value_conv = nn.Conv2d(in_channels, in_channels, 1)
        self.gamma = Scale(0)
        self.in_channels = in_channels

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C, H, W)` to the same shape."""
        query, key, value = self.query_conv(x), self.key_conv(x), self.value_conv(x)
        height = x.shape[2]
        itself = torch.eye(height, dtype=torch.bool, device=x.device)[:, None]  # already met along the row
        along_column = torch.einsum("nchw,nciw->nhwi", query, key).masked_fill(itself, -torch.inf)
        along_row = torch.einsum("nchw,nchj->nhwj", query, key)
        attention = torch.cat([along_column, along_row], dim=-1).softmax(dim=-1)
        gathered = torch.einsum("nciw,nhwi->nchw", value, attention[..., :height])
        gathered = gathered + torch.einsum("nchj,nhwj->nchw", value, attention[..., height:])
        result: Tensor = self.gamma(gathered) + x
        return result.contiguous()

    def extra_repr(self) -> str:
        """The number of channels."""
        return f"in_channels={self.in_channels}"
