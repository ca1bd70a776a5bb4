"""Pooling towards the two edges that meet in a corner."""

from __future__ import annotations

from collections.abc import Sequence

from raydet_ops import CornerPool
from torch import Tensor, nn

from raydet.layers import BN, BaseModule, ConvModule


class BiCornerPool(BaseModule):
    """Two poolings of two branches, added to a shortcut (arXiv:1808.01244).

    Args:
        in_channels: of the input.
        directions: of the poolings, see `raydet_ops.CornerPool`.
        feat_channels: of the two branches.
        out_channels: of the output.
    """

    def __init__(
        self, in_channels: int, directions: Sequence[str], feat_channels: int = 128, out_channels: int = 128
    ) -> None:
        super().__init__(None)
        self.direction1_conv = ConvModule(in_channels, feat_channels, 3, padding=1, norm_cfg=BN)
        self.direction2_conv = ConvModule(in_channels, feat_channels, 3, padding=1, norm_cfg=BN)
        self.aftpool_conv = ConvModule(feat_channels, out_channels, 3, padding=1, norm_cfg=BN, act_cfg=None)
        self.conv1 = ConvModule(in_channels, out_channels, 1, norm_cfg=BN, act_cfg=None)
        self.conv2 = ConvModule(out_channels, out_channels, 3, padding=1, norm_cfg=BN)
        self.direction1_pool = CornerPool(directions[0])
        self.direction2_pool = CornerPool(directions[1])
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, in_channels, H, W)` to `(N, out_channels, H, W)`."""
        pooled = self.direction1_pool(self.direction1_conv(x)) + self.direction2_pool(self.direction2_conv(x))
        out: Tensor = self.conv2(self.relu(self.aftpool_conv(pooled) + self.conv1(x)))
        return out
