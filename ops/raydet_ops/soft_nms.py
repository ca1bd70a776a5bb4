"""Soft non-maximum suppression (arXiv:1704.04503): overlapped boxes lose score instead of being dropped."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from raydet_ops._arrays import as_given, to_tensor, widened

Array = TypeVar("Array", Tensor, np.ndarray)
Decay = Callable[[np.ndarray], np.ndarray]


def soft_nms(
    boxes: Array,
    scores: Array,
    iou_threshold: float = 0.3,
    sigma: float = 0.5,
    min_score: float = 1e-3,
    method: str = "linear",
    offset: int = 0,
) -> tuple[Array, Array]:
    """Lower the score of every box by its overlap with better ones; drop what falls below `min_score`.

    Args:
        boxes: `(R, 4)` xyxy, tensor or array.
        scores: `(R,)`.
        iou_threshold: overlap from which `naive` drops and `linear` lowers.
        sigma: width of `gaussian`.
        min_score: boxes whose score falls below are dropped.
        method: `linear`, `gaussian` or `naive` (plain suppression).
        offset: 1 when `x2`, `y2` are the last pixel inside the box, 0 when they are its border.

    Returns:
        `(D, 5)` kept boxes with lowered scores in the order of their selection, and their `(D,)` indices.

    Raises:
        ValueError: unknown method or offset.
    """
    decays: dict[str, Decay] = {
        "naive": lambda iou: 1.0 - (iou >= iou_threshold),
        "linear": lambda iou: np.where(iou >= iou_threshold, 1 - iou, 1),
        "gaussian": lambda iou: np.exp(-(iou**2) / sigma),
    }
    if method not in decays:
        raise ValueError(f"method must be one of {sorted(decays)}, got {method!r}")
    if offset not in (0, 1):
        raise ValueError(f"offset must be 0 or 1, got {offset!r}")
    plain_boxes, plain_scores = (widened(to_tensor(x).detach().cpu()).numpy() for x in (boxes, scores))
    with np.errstate(invalid="ignore"):  # two boxes without area
        keep, kept_scores = _select(plain_boxes, plain_scores, decays[method], min_score, offset)
    dets = np.concatenate([plain_boxes[keep], kept_scores[:, None]], axis=1)
    return as_given(torch.from_numpy(dets), boxes), as_given(torch.from_numpy(keep), boxes)


def _select(
    boxes: np.ndarray, scores: np.ndarray, decay: Decay, min_score: float, offset: int
) -> tuple[np.ndarray, np.ndarray]:
    """Indices and lowered scores in the order of their selection."""
    left, top, right, bottom = np.ascontiguousarray(boxes.T)
    areas = (right - left + offset) * (bottom - top + offset)
    scores, gone = scores.copy(), np.zeros(len(scores), dtype=bool)
    keep: list[int] = []
    kept_scores: list[float] = []
    while not gone.all():
        best = int(np.where(gone, -np.inf, scores).argmax())
        keep.append(best)
        kept_scores.append(scores[best])
        gone[best] = True
        width = np.minimum(right, right[best]) - np.maximum(left, left[best]) + offset
        height = np.minimum(bottom, bottom[best]) - np.maximum(top, top[best]) + offset
        inter = np.maximum(width, 0) * np.maximum(height, 0)
        scores *= decay(inter / (areas + areas[best] - inter))
        gone |= scores < min_score
    return np.asarray(keep, dtype=np.int64), np.asarray(kept_scores, dtype=scores.dtype)
