"""SOLOv2's mask features: all levels of a pyramid on one map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from raydet.heads.mask.sizes import with_coordinates
from raydet.layers import BaseModule, ConvModule

INIT = [{"type": "Normal", "layer": "Conv2d", "std": 0.01}]


class MaskFeatModule(BaseModule):
    """Coarser levels are convolved and doubled until they fit the finest one, and all are added.

    Args:
        in_channels: of the feature maps.
        feat_channels: of the map on which they are added.
        start_level: first level that is used.
        end_level: last level that is used; it sees coordinates as well.
        out_channels: of the mask features.
        mask_stride: pixels of the image per pixel of the mask features.
        conv_cfg: type of the convolutions.
        norm_cfg: normalisation.
        init_cfg: weight initialisation.
    """

    def __init__(
        self,
        in_channels: int,
        feat_channels: int,
        start_level: int,
        end_level: int,
        out_channels: int,
        mask_stride: int = 4,
        conv_cfg: Any = None,
        norm_cfg: Any = None,
        init_cfg: Any = INIT,
    ) -> None:
        super().__init__(init_cfg)
        self.start_level = start_level
        self.end_level = end_level
        self.mask_stride = mask_stride
        options = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg}
        self.convs_all_levels = nn.ModuleList()
        for level in range(start_level, end_level + 1):
            first = in_channels + 2 if level == end_level and level > 0 else in_channels
            self.convs_all_levels.append(_way_up(level, first, feat_channels, **options))
        self.conv_pred = ConvModule(feat_channels, out_channels, 1, **options)

    def forward(self, feats: Sequence[Tensor]) -> Tensor:
        """Map `(N, in_channels, H_l, W_l)` of all levels to `(N, out_channels, H, W)` of the finest that is used."""
        used = list(feats[self.start_level : self.end_level + 1])
        if len(used) > 1:
            used[-1] = with_coordinates(used[-1])
        features: Tensor = self.conv_pred(
            sum(convs(feature) for convs, feature in zip(self.convs_all_levels, used, strict=True))
        )
        return features


def _way_up(level: int, in_channels: int, channels: int, **options: Any) -> nn.Sequential:
    """Convolutions, each but that of level 0 followed by a doubling."""
    layers = nn.Sequential()
    for step in range(max(level, 1)):
        conv = ConvModule(channels if step else in_channels, channels, 3, padding=1, inplace=False, **options)
        layers.add_module(f"conv{step}", conv)
        if level > 0:
            layers.add_module(f"upsample{step}", nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False))
    return layers
