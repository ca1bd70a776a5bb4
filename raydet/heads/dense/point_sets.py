"""Sets of points that stand for boxes: `n` points as `2 n` numbers, y before x (RepPoints, arXiv:1904.11490)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

METHODS = ("minmax", "partial_minmax", "moment")
# Points that `partial_minmax` looks at.
SOME = 4


def kernel_side(num_points: int) -> int:
    """Side of the convolution that has a tap for each point.

    Raises:
        ValueError: there is none with a middle.
    """
    side = math.isqrt(num_points)
    if side * side != num_points or side % 2 == 0:
        raise ValueError(f"num_points must be an odd square number such as 9 or 25, got {num_points}")
    return side


def kernel_places(side: int, like: Tensor) -> Tensor:
    """`(2 n, 1, 1)` where the taps of a convolution are, in cells from its middle; on the device of `like`."""
    steps = torch.arange(side, dtype=torch.float32, device=like.device) - side // 2
    return torch.stack(torch.meshgrid(steps, steps, indexing="ij"), dim=-1).view(-1, 1, 1)


def boxes_around(points: Tensor, method: str, log_growth: Tensor | None = None) -> Tensor:
    """Boxes `(..., 4)` xyxy that sets of points `(..., 2 n)` stand for.

    Args:
        points: `(..., 2 n)`.
        method: `minmax` spans all points, `partial_minmax` the first four; the box of `moment` is as far from their
            mean as their deviation says.
        log_growth: `(2,)` logarithms of what `moment` multiplies widths and heights by.
    """
    spots = torch.unflatten(points, -1, (-1, 2)).flip(-1)
    if method == "moment":
        assert log_growth is not None
        middle, half = spots.mean(dim=-2), spots.std(dim=-2) * log_growth.exp()
        return torch.cat([middle - half, middle + half], dim=-1)
    if method == "partial_minmax":
        spots = spots[..., :SOME, :]
    return torch.cat([spots.amin(dim=-2), spots.amax(dim=-2)], dim=-1)


def grids_in_boxes(deltas: Tensor, boxes: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Regular grids of `side` times `side` points in boxes that are moved and scaled.

    Args:
        deltas: `(N, 4, H, W)` shifts in sizes of the boxes, and logarithms of the growth.
        boxes: `(N, 4, H, W)` xyxy, or what broadcasts to it.
        side: points along one axis.

    Returns:
        `(N, 2 n, H, W)` points and `(N, 4, H, W)` boxes.
    """
    middle, size = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]).clamp(min=1e-6)
    new = size * deltas[:, 2:].exp()
    corner = middle + size * deltas[:, :2] - 0.5 * new
    steps = torch.linspace(0, 1, side, device=deltas.device, dtype=deltas.dtype).view(side, 1, 1)
    x, y = ((corner[:, axis, None] + new[:, axis, None] * steps) for axis in (0, 1))
    rows, columns = y[:, :, None].expand(-1, -1, side, -1, -1), x[:, None].expand(-1, side, -1, -1, -1)
    points = torch.stack([rows, columns], dim=3).flatten(1, 3)
    return points, torch.cat([corner, corner + new], dim=1)
