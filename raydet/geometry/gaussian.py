"""Gaussian bumps that mark corners and centers on heatmaps (CornerNet, arXiv:1808.01244)."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import torch
from torch import Tensor


def gaussian_radius(det_size: Sequence[float], min_overlap: float) -> float:
    """How far both corners of a box may be off before its overlap falls below `min_overlap`.

    The worst of three cases counts: one corner inside and one outside, both inside, both outside. In each the overlap
    is `min_overlap` at a root of a quadratic equation in the radius.

    Args:
        det_size: height and width of the box.
        min_overlap: in (0, 1).
    """
    height, width = (float(each) for each in det_size)
    total, area, loss = height + width, height * width, 1 - min_overlap
    shifted = (total - sqrt(total**2 - 4 * area * loss / (1 + min_overlap))) / 2
    smaller = (total - sqrt(total**2 - 4 * area * loss)) / 4
    larger = (sqrt((min_overlap * total) ** 2 + 4 * min_overlap * area * loss) - min_overlap * total) / (
        4 * min_overlap
    )
    return min(shifted, smaller, larger)


def gaussian_kernel(radius: int, sigma: float, like: Tensor) -> Tensor:
    """Bump `(2 r + 1, 2 r + 1)` that is 1 in the middle, with negligible values as 0."""
    steps = torch.arange(-radius, radius + 1, dtype=like.dtype, device=like.device)
    bump = (-(steps[:, None] ** 2 + steps**2) / (2 * sigma**2)).exp()
    return bump.masked_fill(bump < torch.finfo(bump.dtype).eps, 0)


def gen_gaussian_target(heatmap: Tensor, center: Sequence[int], radius: int, k: float = 1) -> Tensor:
    """Raise a heatmap to a bump around a cell, in place.

    Args:
        heatmap: `(H, W)`.
        center: x and y of the cell, inside the map.
        radius: of the bump, in cells; three standard deviations, about.
        k: height of the bump.

    Returns:
        `heatmap`.
    """
    bump = gaussian_kernel(radius, (2 * radius + 1) / 6, heatmap) * k
    height, width = heatmap.shape[:2]
    x, y = int(center[0]), int(center[1])
    left, right = min(x, radius), min(width - x, radius + 1)
    top, bottom = min(y, radius), min(height - y, radius + 1)
    part = heatmap[y - top : y + bottom, x - left : x + right]
    part.copy_(part.maximum(bump[radius - top : radius + bottom, radius - left : radius + right]))
    return heatmap
