"""What happens to boxes `(G, 4)`, xyxy, when their image is flipped or cut."""

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
