"""Features sampled at places that depend on the shape of a box."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from raydet.geometry.priors.grid import grid_points
from raydet.heads.dense.point_sets import kernel_places
from raydet.layers import BaseModule
from raydet.ops import DeformConv2d

ADAPTIVE_INIT = {
    "type": "Normal",
    "std": 0.01,
    "override": {"type": "Normal", "name": "conv", "std": 0.01},
}
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


class AdaptiveConv(BaseModule):
    """3x3 convolution whose taps are spread evenly, or over the anchor of each cell (Cascade RPN, arXiv:1909.06720).

    Args:
        in_channels: of the feature map.
        out_channels: of the output.
        kernel_size: must be 3.
        stride: must be 1 with offsets.
        padding: must be 1 with offsets; of a dilated convolution it is `dilation`.
        dilation: spacing of the taps, without offsets.
        groups: must be 1 with offsets.
        bias: must be False with offsets; a dilated convolution has one.
        type: `dilation`, or `offset` for taps that the anchors place.
        init_cfg: weight initialisation.

    Raises:
        ValueError: arguments that are not supported.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        padding: int = 1,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = False,
        type: str = "dilation",
        init_cfg: Any = ADAPTIVE_INIT,
    ) -> None:
        super().__init__(init_cfg)
        if kernel_size != 3 or type not in ("dilation", "offset"):
            raise ValueError(f"expected kernel_size=3 and type='dilation' or 'offset', got {kernel_size} and {type!r}")
        self.adapt_type = type
        if type == "dilation":
            self.conv: nn.Module = nn.Conv2d(in_channels, out_channels, 3, padding=dilation, dilation=dilation)
            return
        if (stride, padding, groups, bias) != (1, 1, 1, False):
            raise ValueError(
                "type='offset' needs stride=1, padding=1, groups=1 and bias=False, "
                f"got stride={stride}, padding={padding}, groups={groups}, bias={bias}"
            )
        self.conv = DeformConv2d(in_channels, out_channels, 3, padding=1)

    def forward(self, feature: Tensor, offset: Tensor | None = None) -> Tensor:
        """Convolve `(N, C, H, W)`, with offsets `(N, 18, H, W)` for the type `offset`."""
        if offset is None:
            return self.conv(feature)  # type: ignore[no-any-return]
        return self.conv(feature, offset.to(feature.dtype))  # type: ignore[no-any-return]


def offsets_over(anchors: Tensor, size: tuple[int, int], stride: float) -> Tensor:
    """Offsets `(N, 18, H, W)` that spread the taps of a 3x3 convolution over the anchor of each cell.

    Args:
        anchors: `(N, H * W, 4)`.
        size: `(H, W)`.
        stride: pixels per cell.
    """
    cells = grid_points(size, (1, 1), 0, anchors.dtype, anchors.device)
    shift = (anchors[..., :2] + anchors[..., 2:]) * 0.5 / stride - cells
    spread = (anchors[..., 2:] - anchors[..., :2]) / stride / 2 - 1
    taps = kernel_places(3, anchors).view(9, 2)
    offsets = shift.flip(-1)[:, :, None] + spread.flip(-1)[:, :, None] * taps
    return torch.unflatten(offsets.flatten(2), 1, size).permute(0, 3, 1, 2).contiguous()
