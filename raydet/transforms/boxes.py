"""What happens to boxes `(G, 4)`, xyxy, when their image is flipped, cut or warped."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def clip(boxes: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Boxes cut to an image of `shape` = (height, width, ...)."""
    height, width = shape[:2]
    clipped: np.ndarray = boxes.copy()
    clipped[:, 0::2] = np.clip(boxes[:, 0::2], 0, width)
    clipped[:, 1::2] = np.clip(boxes[:, 1::2], 0, height)
    return clipped


def flip(boxes: np.ndarray, shape: Sequence[int], direction: str) -> np.ndarray:
    """Mirror boxes with their image; the last dimension may hold several boxes."""
    if boxes.shape[-1] % 4:
        raise ValueError(f"boxes must have 4 numbers each, got shape {boxes.shape}")
    height, width = shape[:2]
    flipped: np.ndarray = boxes.copy()
    if direction in ("horizontal", "diagonal"):
        flipped[..., 0::4] = width - boxes[..., 2::4]
        flipped[..., 2::4] = width - boxes[..., 0::4]
    if direction in ("vertical", "diagonal"):
        flipped[..., 1::4] = height - boxes[..., 3::4]
        flipped[..., 3::4] = height - boxes[..., 1::4]
    return flipped


def has_area(boxes: np.ndarray) -> np.ndarray:
    """`(G,)` bool: wider and higher than nothing."""
    return (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])


def larger_than(boxes: np.ndarray, size: float) -> np.ndarray:
    """`(G,)` bool: wider and higher than `size` pixels."""
    large: np.ndarray = (boxes[:, 2:] - boxes[:, :2] > size).all(axis=1)
    return large


def touching(boxes: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """`(G,)` bool: at least partly within an image of `shape` = (height, width, ...)."""
    height, width = shape[:2]
    return (boxes[:, 0] < width) & (boxes[:, 2] > 0) & (boxes[:, 1] < height) & (boxes[:, 3] > 0)


def centered_in(boxes: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """`(G,)` bool: the center lies inside the window `corners` `(4,)`, not on its edge."""
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2
    inside: np.ndarray = ((centers > corners[:2]) & (centers < corners[2:])).all(axis=1)
    return inside


def overlaps(window: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """`(G,)` IoU of one window `(4,)` with boxes."""
    sides = np.minimum(window[2:], boxes[:, 2:]) - np.maximum(window[:2], boxes[:, :2])
    shared = sides.clip(min=0).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    union: np.ndarray = areas + (window[2:] - window[:2]).prod() - shared
    return np.asarray(shared / union.clip(min=1e-6))


def warp(boxes: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The boxes around what becomes of boxes under the affine `matrix` `(2, 3)`."""
    corners = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
    moved = corners @ matrix[:, :2].T + matrix[:, 2]
    return np.concatenate([moved.min(axis=1), moved.max(axis=1)], axis=1).astype(boxes.dtype)


def survivors(
    before: np.ndarray, after: np.ndarray, min_size: float, min_area_ratio: float, max_aspect_ratio: float
) -> np.ndarray:
    """`(G,)` bool: boxes that a change left recognisable.

    Args:
        before: boxes in the scale of `after`.
        after: the same boxes after moving and clipping.
        min_size: they must be wider and higher, in pixels.
        min_area_ratio: of their area, more than this fraction must be left.
        max_aspect_ratio: of the longer side to the shorter one, not reached.
    """
    sides, whole = (each[:, 2:] - each[:, :2] for each in (after, before))
    aspect = sides.max(axis=1) / (sides.min(axis=1) + 1e-16)
    left = sides.prod(axis=1) / (whole.prod(axis=1) + 1e-16)
    kept: np.ndarray = larger_than(after, min_size) & (left > min_area_ratio) & (aspect < max_aspect_ratio)
    return kept
