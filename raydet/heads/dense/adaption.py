"""Features sampled at places that depend on the shape of a box."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from raydet.layers import BaseModule
from raydet.ops import DeformConv2d

INIT = {
    "type": "Normal",
    "layer": "Conv2d",
    "std": 0.1,
    "override": {"type": "Normal", "name": "conv_adaption", "std": 0.01},
}


class FeatureAdaption(BaseModule):
    """Deformable convolution whose offsets are linear in the shape predicted at the cell (arXiv:1901.03278).

    Args:
        in_channels: of the feature map.
        out_channels: of the output.
        kernel_size: side of the convolution.
        deform_groups: groups of channels with offsets of their own.
        init_cfg: weight initialisation.
        shape_channels: numbers that describe a shape.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        deform_groups: int = 4,
        init_cfg: Any = INIT,
        shape_channels: int = 2,
    ) -> None:
        super().__init__(init_cfg)
        self.conv_offset = nn.Conv2d(shape_channels, 2 * deform_groups * kernel_size**2, 1, bias=False)
        self.conv_adaption = DeformConv2d(
            in_channels, out_channels, kernel_size, padding=kernel_size // 2, deform_groups=deform_groups
        )

    def forward(self, feature: Tensor, shape: Tensor) -> Tensor:
        """Map `(N, C, H, W)` features by shapes `(N, shape_channels, H, W)`."""
        adapted: Tensor = self.conv_adaption(feature, self.conv_offset(shape))
        return adapted.relu()
