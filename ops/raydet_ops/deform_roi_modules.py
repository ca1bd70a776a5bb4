"""Deformable RoI pooling as modules; packs predict the offsets from what plain pooling sees."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from raydet_ops._regions import Size, pair
from raydet_ops.deform_roi_pool import deform_roi_pool


class DeformRoIPool(nn.Module):
    """`deform_roi_pool` as a module.

    Args:
        output_size: cells of the grid, `(h, w)` or one number.
        spatial_scale: feature size over image size.
        sampling_ratio: samples per cell and axis; 0 takes as many as cover the region.
        gamma: what offsets are multiplied with.
    """

    def __init__(
        self, output_size: Size, spatial_scale: float = 1.0, sampling_ratio: int = 0, gamma: float = 0.1
    ) -> None:
        super().__init__()
        self.output_size = pair(output_size)
        self.spatial_scale = float(spatial_scale)
        self.sampling_ratio = int(sampling_ratio)
        self.gamma = float(gamma)

    def forward(self, input: Tensor, rois: Tensor, offset: Tensor | None = None) -> Tensor:
        return deform_roi_pool(
            input, rois, offset, self.output_size, self.spatial_scale, self.sampling_ratio, self.gamma
        )


class DeformRoIPoolPack(DeformRoIPool):
    """Predicts the offsets of its cells from the features of the cells at rest; starts without offsets.

    Args:
        output_size: cells of the grid, `(h, w)` or one number.
        output_channels: channels of the features.
        deform_fc_channels: of the hidden layers.
        spatial_scale: feature size over image size.
        sampling_ratio: samples per cell and axis; 0 takes as many as cover the region.
        gamma: what offsets are multiplied with.
    """

    def __init__(
        self,
        output_size: Size,
        output_channels: int,
        deform_fc_channels: int = 1024,
        spatial_scale: float = 1.0,
        sampling_ratio: int = 0,
        gamma: float = 0.1,
    ) -> None:
        super().__init__(output_size, spatial_scale, sampling_ratio, gamma)
        self.output_channels = output_channels
        self.deform_fc_channels = deform_fc_channels
        cells = self.output_size[0] * self.output_size[1]
        hidden = (deform_fc_channels, deform_fc_channels)
        self.offset_fc = nn.Sequential(*_layers(cells * output_channels, *hidden, cells * 2))

    def forward(self, input: Tensor, rois: Tensor, offset: Tensor | None = None) -> Tensor:
        """Pool `(R, C, h, w)`; offsets that are given take the place of predicted ones."""
        if offset is None:
            offset = self._offsets(self._at_rest(input, rois))
        return super().forward(input, rois, offset)

    def _at_rest(self, input: Tensor, rois: Tensor) -> Tensor:
        """`(R, C*h*w)` features of the cells at rest."""
        if input.shape[1] != self.output_channels:
            raise ValueError(f"input has {input.shape[1]} channels, output_channels says {self.output_channels}")
        return super().forward(input, rois, None).flatten(1)

    def _offsets(self, flat: Tensor) -> Tensor:
        offsets: Tensor = self.offset_fc(flat).view(len(flat), 2, *self.output_size)
        return offsets


class ModulatedDeformRoIPoolPack(DeformRoIPoolPack):
    """Also predicts a weight in (0, 1) for each cell, which starts as 0.5 (arXiv:1811.11168).

    Args:
        output_size: cells of the grid, `(h, w)` or one number.
        output_channels: channels of the features.
        deform_fc_channels: of the hidden layers.
        spatial_scale: feature size over image size.
        sampling_ratio: samples per cell and axis; 0 takes as many as cover the region.
        gamma: what offsets are multiplied with.
    """

    def __init__(
        self,
        output_size: Size,
        output_channels: int,
        deform_fc_channels: int = 1024,
        spatial_scale: float = 1.0,
        sampling_ratio: int = 0,
        gamma: float = 0.1,
    ) -> None:
        super().__init__(output_size, output_channels, deform_fc_channels, spatial_scale, sampling_ratio, gamma)
        cells = self.output_size[0] * self.output_size[1]
        self.mask_fc = nn.Sequential(*_layers(cells * output_channels, deform_fc_channels, cells), nn.Sigmoid())

    def forward(self, input: Tensor, rois: Tensor, offset: Tensor | None = None) -> Tensor:
        """Pool `(R, C, h, w)`; offsets that are given take the place of predicted ones."""
        flat = self._at_rest(input, rois)
        pooled = super().forward(input, rois, self._offsets(flat) if offset is None else offset)
        weights: Tensor = self.mask_fc(flat).view(len(flat), 1, *self.output_size)
        return pooled * weights


def _layers(*channels: int) -> list[nn.Module]:
    """Linear layers with ReLU between them; the last starts at zero."""
    layers: list[nn.Module] = []
    for before, after in pairwise(channels):
        layers += [nn.Linear(before, after), nn.ReLU(inplace=True)]
    last = layers[-2]
    assert isinstance(last, nn.Linear)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return layers[:-1]
