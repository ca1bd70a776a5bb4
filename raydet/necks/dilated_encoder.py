"""YOLOF's encoder: many receptive fields on one level."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from raydet.layers import BN, BaseModule, ConvModule, InitCfg

_INIT: InitCfg = {
    "type": "Normal",
    "layer": "Conv2d",
    "std": 0.01,
    "override": [{"type": "Caffe2Xavier", "name": "lateral_conv"}, {"type": "Caffe2Xavier", "name": "fpn_conv"}],
}


class DilatedEncoder(BaseModule):
    """A projection, then residual blocks of ever wider dilation (arXiv:2103.09460).

    Args:
        in_channels: of the last input map; the others are not used.
        out_channels: of the output.
        block_mid_channels: inside the blocks.
        num_residual_blocks: number of blocks.
        block_dilations: dilation of each.

    Raises:
        ValueError: other numbers of dilations than blocks.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        block_mid_channels: int,
        num_residual_blocks: int,
        block_dilations: Sequence[int],
    ) -> None:
        super().__init__(_INIT)
        if len(block_dilations) != num_residual_blocks:
            raise ValueError(f"{num_residual_blocks} blocks need as many block_dilations, got {block_dilations}")
        self.lateral_conv = nn.Conv2d(in_channels, out_channels, 1)
        self.lateral_norm = nn.BatchNorm2d(out_channels)
        self.fpn_conv = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.fpn_norm = nn.BatchNorm2d(out_channels)
        self.dilated_encoder_blocks = nn.Sequential(
            *(DilatedBottleneck(out_channels, block_mid_channels, dilation) for dilation in block_dilations)
        )

    def forward(self, feature: Sequence[Tensor]) -> tuple[Tensor]:
        """Map the last `(N, in_channels, H, W)` to one map `(N, out_channels, H, W)`."""
        out = self.lateral_norm(self.lateral_conv(feature[-1]))
        out = self.fpn_norm(self.fpn_conv(out))
        return (self.dilated_encoder_blocks(out),)


class DilatedBottleneck(nn.Module):
    """1x1, dilated 3x3 and 1x1 convolutions, added to their input.

    Args:
        in_channels: of input and output.
        mid_channels: of the dilated convolution.
        dilation: spacing of its taps.
    """

    def __init__(self, in_channels: int, mid_channels: int, dilation: int = 1) -> None:
        super().__init__()
        self.conv1 = ConvModule(in_channels, mid_channels, 1, norm_cfg=BN)
        self.conv2 = ConvModule(mid_channels, mid_channels, 3, padding=dilation, dilation=dilation, norm_cfg=BN)
        self.conv3 = ConvModule(mid_channels, in_channels, 1, norm_cfg=BN)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, in_channels, H, W)` to the same shape."""
        out: Tensor = x + self.conv3(self.conv2(self.conv1(x)))
        return out
