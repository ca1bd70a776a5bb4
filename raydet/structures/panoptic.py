"""Panoptic maps: one number per pixel, and their form in COCO's PNG files (arXiv:1801.00868)."""

from __future__ import annotations

import numpy as np

INSTANCE_OFFSET = 1000
"""A pixel of a result map holds `instance * INSTANCE_OFFSET + label`; instances count from 1, stuff has instance 0."""

VOID = 0
"""The number of pixels without a segment in COCO's files. In a result map their label is the number of classes."""


def ids_from_rgb(image: np.ndarray) -> np.ndarray:
    """Segment ids `(H, W)` int32 of a panoptic PNG `(H, W, 3)` uint8, red first: `R + 256 G + 256^2 B`."""
    red, green, blue = (image[..., channel].astype(np.int32) for channel in range(3))
    return np.asarray(red + (green << 8) + (blue << 16))


def rgb_from_ids(ids: np.ndarray) -> np.ndarray:
    """A panoptic PNG `(H, W, 3)` uint8, red first, of segment ids `(H, W)` in [0, 2^24).

    Raises:
        ValueError: an id does not fit into three bytes.
    """
    if ids.size and not 0 <= ids.min() <= ids.max() < 1 << 24:
        raise ValueError(f"segment ids of a PNG lie in [0, 2^24), got {ids.min()} to {ids.max()}")
    return np.stack([ids & 255, (ids >> 8) & 255, (ids >> 16) & 255], axis=-1).astype(np.uint8)
