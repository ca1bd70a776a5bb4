"""Assignment of cells to the middle part of the objects of their size (FoveaBox, arXiv:1904.03797)."""

from __future__ import annotations

import torch
from torch import Tensor

from raydet.assignment.result import AssignResult
from raydet.structures import GroundTruth


def assign_foveae(
    cells: Tensor, last: Tensor, strides: Tensor, ranges: Tensor, truth: GroundTruth, sigma: float
) -> AssignResult:
    """Give each cell the smallest ground truth of its level whose middle it is in.

    Args:
        cells: `(R, 2)` column and row.
        last: `(R, 2)` last column and row of the level; middles outside the map count as on its border.
        strides: `(R,)` pixels per cell.
        ranges: `(R, 2)` sizes (roots of areas) that the level is for, at least and at most, in pixels.
        truth: `G` ground truths.
        sigma: size of the middle relative to the ground truth.
    """
    if len(truth.boxes) == 0:
        return AssignResult.background(cells, 0, truth.labels)
    size = (truth.boxes[:, 2:] - truth.boxes[:, :2]).prod(-1).sqrt()
    low, high = middle_cells(truth.boxes / strides[:, None, None], sigma, last[:, None])
    inside = ((cells[:, None] >= low) & (cells[:, None] <= high)).all(-1)
    inside &= (size >= ranges[:, :1]) & (size <= ranges[:, 1:])
    # Among equals the last one wins.
    rank = size.argsort(descending=True, stable=True).argsort()
    owner = rank.masked_fill(~inside, -1).argmax(dim=1)
    return AssignResult.of(torch.where(inside.any(dim=1), owner + 1, 0), None, len(truth.boxes), truth.labels)


def middle_cells(boxes: Tensor, sigma: float, last: Tensor) -> tuple[Tensor, Tensor]:
    """First and last column and row `(..., 2)` of cells in the middle of boxes `(..., 4)`, which are in cells."""
    half = 0.5 * (boxes[..., 2:] - boxes[..., :2])
    low = (boxes[..., :2] + (1 - sigma) * half - 0.5).ceil()
    high = (boxes[..., :2] + (1 + sigma) * half - 0.5).floor()
    return low.clamp(min=0).minimum(last), high.clamp(min=0).minimum(last)
