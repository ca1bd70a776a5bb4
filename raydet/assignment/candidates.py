"""Shapes that assigners share: who stands inside, who is a candidate, who gets a box that several want.

Matrices of pairs are `(R, G)` unless a function says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from raydet.geometry import bbox2distance

# What 2.x reports as the overlap of a box that no ground truth wants.
NO_OVERLAP = -1e8


def centers(boxes: Tensor) -> Tensor:
    """`(..., 2)` middles of boxes `(..., 4)`."""
    return (boxes[..., :2] + boxes[..., 2:4]) / 2


def depth(points: Tensor, boxes: Tensor) -> Tensor:
    """How deep points `(..., 2)` stand inside boxes `(..., 4)`: pixels to the nearest side, negative outside."""
    return bbox2distance(points, boxes).amin(dim=-1)


def mark(places: Tensor, chosen: Tensor, num_boxes: int) -> Tensor:
    """Claims `(R, G)` bool of candidates: each ground truth's boxes `places` `(k, G)` where `chosen` `(k, G)`."""
    claims = chosen.new_zeros(num_boxes, places.shape[1])
    return claims.scatter_(0, places, chosen)


def resolve(claims: Tensor, preference: Tensor, nothing: float = NO_OVERLAP) -> tuple[Tensor, Tensor]:
    """Give each box to the claimant that it prefers most, the first of equals.

    Args:
        claims: `(R, G)` bool, G at least 1.
        preference: `(R, G)`, above `nothing`.
        nothing: preference reported for a box without claims, raised to what its type can hold.

    Returns:
        `(R,)` number of the ground truth from 1, 0 for none; `(R,)` the preference for it.
    """
    if preference.is_floating_point():
        nothing = max(nothing, torch.finfo(preference.dtype).min)
    value, owner = preference.masked_fill(~claims, nothing).max(dim=1)
    return torch.where(claims.any(dim=1), owner + 1, 0), value


def best_boxes(overlaps: Tensor, reached: Callable[[Tensor], Tensor], take_all: bool) -> Tensor:
    """Each ground truth claims the box that it overlaps most; where several want the same, the last one gets it.

    Args:
        overlaps: `(N, G, R)`.
        reached: tells of the best overlaps `(N, G)` which are high enough to claim anything.
        take_all: claim all boxes that share the best overlap, not only the first.

    Returns:
        `(N, R)` number of the claimant from 1, 0 for none.
    """
    num_images, _, num_boxes = overlaps.shape
    peak, place = overlaps.max(dim=2)
    able = reached(peak)
    if take_all:
        images, gts, boxes = ((overlaps == peak[..., None]) & able[..., None]).nonzero(as_tuple=True)
    else:
        images, gts = able.nonzero(as_tuple=True)
        boxes = place[images, gts]
    claims = torch.zeros(num_images * num_boxes, dtype=torch.long, device=overlaps.device)
    claims.scatter_reduce_(0, images * num_boxes + boxes, gts + 1, reduce="amax")
    return claims.view(num_images, num_boxes)
