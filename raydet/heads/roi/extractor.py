"""Pool the features of regions from a pyramid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from raydet.heads.roi.regions import rescale_rois
from raydet.layers import BaseModule, ModuleList
from raydet.registry import LAYERS


class SingleRoIExtractor(BaseModule):
    """Pools each region from the one level that suits its size (arXiv:1612.03144).

    Regions whose side is below `2 * finest_scale` go to the first level, those below `4 * finest_scale` to the second
    and so on.

    Args:
        roi_layer: pooling operator, its `spatial_scale` left out: `dict(type="RoIAlign", output_size=7)`.
        out_channels: of the features.
        featmap_strides: one per level that is used.
        finest_scale: side in pixels.
        init_cfg: weight initialisation.
    """

    def __init__(
        self,
        roi_layer: Mapping[str, Any],
        out_channels: int,
        featmap_strides: Sequence[int],
        finest_scale: int = 56,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        self.roi_layers = build_roi_layers(roi_layer, featmap_strides)
        self.out_channels = out_channels
        self.featmap_strides = featmap_strides
        self.finest_scale = finest_scale

    @property
    def num_inputs(self) -> int:
        """Levels that are used."""
        return len(self.featmap_strides)

    def levels_of(self, rois: Tensor) -> Tensor:
        """`(R,)` level of each region; one without area goes to the first."""
        area = (rois[:, 3] - rois[:, 1]) * (rois[:, 4] - rois[:, 2])
        sides = area.nan_to_num(nan=0.0).clamp(min=0).sqrt()
        levels = (sides / self.finest_scale + 1e-6).log2().floor()
        return levels.clamp(0, self.num_inputs - 1).long()

    def forward(self, feats: Sequence[Tensor], rois: Tensor, roi_scale_factor: float | None = None) -> Tensor:
        """Features `(R, C, h, w)` of regions `(R, 5)`, taken from the first `num_inputs` of `feats`.

        Args:
            feats: pyramid, finest first.
            rois: image index, x1, y1, x2, y2.
            roi_scale_factor: enlarge the regions around their centres; their level stays.
        """
        levels = self.levels_of(rois)
        regions = rois if roi_scale_factor is None else rescale_rois(rois, roi_scale_factor)
        if self.num_inputs == 1:
            return pool(self.roi_layers[0], feats[0], regions)
        order = levels.argsort(stable=True)
        counts = levels.bincount(minlength=self.num_inputs).tolist()
        # A level without regions joins as an empty pooling, so that every level stays in the graph on every rank.
        parts = [
            pool(layer, feature, chunk)
            for layer, feature, chunk in zip(self.roi_layers, feats, torch.split(regions[order], counts), strict=False)
        ]
        return torch.cat(parts)[order.argsort()]


def build_roi_layers(roi_layer: Mapping[str, Any], featmap_strides: Sequence[int]) -> ModuleList:
    """One pooling operator per level."""
    return ModuleList(LAYERS.build({**roi_layer, "spatial_scale": 1 / stride}) for stride in featmap_strides)


def pool(layer: nn.Module, feature: Tensor, rois: Tensor) -> Tensor:
    """Pool regions of one level; without regions the result is empty, yet depends on all that it would have used."""
    if len(rois):
        pooled: Tensor = layer(feature, rois)
        return pooled
    nothing = sum(value[:0].sum() for value in (feature, *layer.parameters()))
    size: Any = layer.output_size
    return feature.new_zeros(0, feature.shape[1], *((size, size) if isinstance(size, int) else size)) + nothing
