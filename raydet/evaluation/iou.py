"""Overlaps of boxes in numpy, for metrics."""

from __future__ import annotations

import numpy as np


def box_areas(boxes: np.ndarray, use_legacy_coordinate: bool = False) -> np.ndarray:
    """Areas `(N,)` of xyxy boxes `(N, 4+)`; legacy coordinates count the last pixel as inside."""
    extra = 1.0 if use_legacy_coordinate else 0.0
    areas: np.ndarray = (boxes[:, 2] - boxes[:, 0] + extra) * (boxes[:, 3] - boxes[:, 1] + extra)
    return areas


def np_bbox_overlaps(
    bboxes1: np.ndarray,
    bboxes2: np.ndarray,
    mode: str = "iou",
    eps: float = 1e-6,
    use_legacy_coordinate: bool = False,
) -> np.ndarray:
    """Overlap of each box of `bboxes1` with each of `bboxes2`, `(N, M)` float32.

    Args:
        bboxes1: `(N, 4)` xyxy.
        bboxes2: `(M, 4)` xyxy.
        mode: "iou" divides by the union, "iof" by the area of the box of `bboxes1`.
        eps: lower bound of the divisor.
        use_legacy_coordinate: the width is `x2 - x1 + 1`, as in PASCAL VOC.

    Raises:
        ValueError: unknown mode.
    """
    if mode not in ("iou", "iof"):
        raise ValueError(f"mode must be 'iou' or 'iof', got {mode!r}")
    first, second = (np.asarray(boxes, dtype=np.float32)[:, :4] for boxes in (bboxes1, bboxes2))
    extra = np.float32(1.0 if use_legacy_coordinate else 0.0)
    top_left = np.maximum(first[:, None, :2], second[None, :, :2])
    bottom_right = np.minimum(first[:, None, 2:], second[None, :, 2:])
    overlap = np.clip(bottom_right - top_left + extra, 0, None).prod(axis=2)
    divisor = np.broadcast_to(box_areas(first, use_legacy_coordinate)[:, None], overlap.shape)
    if mode == "iou":
        divisor = divisor + box_areas(second, use_legacy_coordinate)[None] - overlap
    ratio: np.ndarray = overlap / np.maximum(divisor, np.float32(eps))
    return ratio
