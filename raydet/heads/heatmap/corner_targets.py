"""What maps of corners shall show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from raydet.geometry import gaussian_radius, gen_gaussian_target
from raydet.heads.heatmap.peaks import batch_ratio
from raydet.structures import Batch, GroundTruth

SHIFTS = ("off", "guiding_shift", "centripetal_shift")


@dataclass(frozen=True, slots=True)
class CornerTargets:
    """One kind of corner of a batch.

    Attributes:
        heat: `(N, K, h, w)` with a bump of 1 at every corner.
        shifts: by role `(N, 2, h, w)`, x and y: `off` from the cell to the corner, `guiding_shift` between cell and
            center of the box, `centripetal_shift` the logarithm of the way from corner to center; all in cells.
        learns: `(N, 1, h, w)` 1 in the cells of corners, 0 elsewhere.
        cells: per image `(G, 2)` y and x of the corners.
    """

    heat: Tensor
    shifts: dict[str, Tensor]
    learns: Tensor
    cells: Sequence[Tensor]


def corner_targets(batch: Batch, like: Tensor) -> tuple[CornerTargets, CornerTargets]:
    """Top left and bottom right corners on maps of the size of heatmaps `(N, K, h, w)`."""
    return _targets(batch, like, 0), _targets(batch, like, 1)


def _targets(batch: Batch, like: Tensor, corner: int) -> CornerTargets:
    assert batch.truths is not None
    heat = torch.zeros_like(like)
    shifts = {role: like.new_zeros(len(like), 2, *like.shape[-2:]) for role in SHIFTS}
    ratio = batch_ratio(like.shape[-2:], batch.metas[0], like)
    cells = [
        _fill(heat[image], {role: values[image] for role, values in shifts.items()}, truth, ratio, corner)
        for image, truth in enumerate(batch.truths)
    ]
    learns = heat.eq(1).any(dim=1, keepdim=True).to(like.dtype)
    return CornerTargets(heat, shifts, learns, cells)


def _fill(heat: Tensor, shifts: dict[str, Tensor], truth: GroundTruth, ratio: Tensor, corner: int) -> Tensor:
    """Write the corners of one image into its maps; the last object of a cell wins."""
    corners = truth.boxes.reshape(-1, 2, 2) * ratio
    center, own = corners.mean(dim=1), corners[:, corner]
    sides = (corners[:, 1] - corners[:, 0]).ceil()
    last = ratio.new_tensor([heat.shape[2] - 1, heat.shape[1] - 1])
    cells = torch.minimum(own, last).long()
    inwards = 1 if corner == 0 else -1
    values = {
        "off": own - cells,
        "guiding_shift": inwards * (center - cells),
        "centripetal_shift": (inwards * (center - own)).log(),
    }
    for g, (x, y) in enumerate(cells.tolist()):
        radius = max(0, int(gaussian_radius(sides[g].flip(0).tolist(), min_overlap=0.3)))
        gen_gaussian_target(heat[truth.labels[g]], (x, y), radius)
        for role, value in values.items():
            shifts[role][:, y, x] = value[g]
    return cells.flip(1)
