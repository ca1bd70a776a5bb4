"""Assignment of points to the smallest box around them (FCOS, arXiv:1904.01355)."""

from __future__ import annotations

import torch
from torch import Tensor

from raydet.assignment.candidates import centers
from raydet.assignment.result import AssignResult
from raydet.geometry import bbox2distance
from raydet.structures import GroundTruth

NEVER = 1e8


def assign_points(
    points: Tensor, ranges: Tensor, truth: GroundTruth, strides: Tensor | None = None, radius: float = 1.5
) -> AssignResult:
    """Give each point the smallest ground truth that holds it and whose size its level is for.

    Args:
        points: `(R, 2)` x and y.
        ranges: `(R, 2)` the farthest side of a box must be this many pixels away, at least and at most.
        truth: `G` ground truths.
        strides: `(R,)` pixels per cell; with them, points must also be near the center of their box.
        radius: how near, in strides.
    """
    if len(truth.boxes) == 0:
        return AssignResult.background(points, 0, truth.labels)
    sides = bbox2distance(points[:, None], truth.boxes)
    inside = sides.amin(-1) > 0
    if strides is not None:
        inside &= _near_center(points, truth.boxes, strides[:, None] * radius)
    farthest = sides.amax(-1)
    inside &= (farthest >= ranges[:, :1]) & (farthest <= ranges[:, 1:])
    areas = (truth.boxes[:, 2:] - truth.boxes[:, :2]).prod(-1).expand(len(points), -1)
    smallest, owner = areas.masked_fill(~inside, NEVER).min(dim=1)
    return AssignResult.of(torch.where(smallest < NEVER, owner + 1, 0), None, len(truth.boxes), truth.labels)


def _near_center(points: Tensor, boxes: Tensor, reach: Tensor) -> Tensor:
    """`(R, G)` points in the part of a box that is at most `reach` `(R, 1)` from its center."""
    middle = centers(boxes)
    low = torch.maximum(middle - reach[..., None], boxes[:, :2])
    high = torch.minimum(middle + reach[..., None], boxes[:, 2:])
    return ((points[:, None] > low) & (points[:, None] < high)).all(-1)
