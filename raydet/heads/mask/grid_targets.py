"""Which cell of a grid over the image learns which object (SOLO)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from raydet.geometry import center_of_mass
from raydet.heads.mask.bitmaps import bitmaps, shrunk_by
from raydet.heads.mask.sizes import Size
from raydet.structures import GroundTruth


@dataclass(frozen=True, slots=True)
class Grid:
    """One level of SOLO.

    Attributes:
        cells: of each side.
        scales: smallest and largest object that the level learns, as the square root of its box's area.
        mask_size: `(h, w)` of the masks that the level predicts.
        mask_stride: pixels of the image per pixel of a mask.
    """

    cells: int
    scales: tuple[float, float]
    mask_size: Size
    mask_stride: float


@dataclass(frozen=True, slots=True)
class GridTargets:
    """What one level learns of one image.

    Attributes:
        labels: `(cells^2,)` classes, `K` where there is no object.
        cells: `(P,)` cells that learn a mask, as `row * cells + column`.
        masks: `(P, h, w)` of 0 and 1.
        num_cells: number of cells with an object.
    """

    labels: Tensor
    cells: Tensor
    masks: Tensor
    num_cells: Tensor


class GridAssigner:
    """The objects of one image on grids: cells around an object's center of mass learn it.

    Args:
        truth: with masks.
        num_classes: `K`.
        extent: `(height, width)` of the image as the grids divide it.
        pos_scale: part of an object's box, around its center, whose cells learn it; at most 3 by 3 of them.
        several: a cell learns the masks of all objects that it is near to, otherwise that of the last one.
    """

    def __init__(self, truth: GroundTruth, num_classes: int, extent: Size, pos_scale: float, several: bool) -> None:
        self.labels = truth.labels
        self.masks = bitmaps(truth)
        self.present = self.masks.flatten(1).any(dim=1)
        self.centers = torch.stack(center_of_mass(self.masks)[::-1], dim=1)
        self.sides = truth.boxes[:, 2:] - truth.boxes[:, :2]
        self.scales = self.sides.prod(dim=1).sqrt()
        self.background = num_classes
        self.extent = truth.boxes.new_tensor([extent[1], extent[0]])
        self.reach = self.sides * 0.5 * pos_scale
        self.several = several

    def targets(self, grid: Grid) -> GridTargets:
        """What one level learns."""
        chosen = ((self.scales >= grid.scales[0]) & (self.scales <= grid.scales[1]) & self.present).nonzero().squeeze(1)
        near = self._near(grid.cells, chosen)
        # From 1 on: 0 is no object. Of several objects the last one names the cell.
        ranks = near * torch.arange(1, len(chosen) + 1, device=near.device)[:, None]
        last = torch.cat([ranks.new_zeros(1, near.shape[1]), ranks]).amax(dim=0)
        names = torch.cat([self.labels.new_tensor([self.background]), self.labels[chosen]])
        if self.several:
            objects, cells = near.nonzero(as_tuple=True)
        else:
            cells = last.nonzero().squeeze(1)
            objects = last[cells] - 1
        masks = shrunk_by(self.masks[chosen], grid.mask_stride, grid.mask_size)
        return GridTargets(names[last], cells, masks[objects], (last > 0).sum())

    def _near(self, cells: int, chosen: Tensor) -> Tensor:
        """`(g, cells^2)` bool: which cells are close to the center of an object."""
        centers, reach = self.centers[chosen], self.reach[chosen]
        middle = self._cell(centers, cells)
        first = torch.maximum(self._cell(centers - reach, cells), middle - 1).clamp(min=0)
        last = torch.minimum(self._cell(centers + reach, cells), middle + 1).clamp(max=cells - 1)
        steps = torch.arange(cells, device=centers.device)
        inside = (steps >= first[..., None]) & (steps <= last[..., None])
        return (inside[:, 1, :, None] & inside[:, 0, None, :]).flatten(1)

    def _cell(self, points: Tensor, cells: int) -> Tensor:
        return torch.div(points / self.extent, 1 / cells, rounding_mode="trunc")
