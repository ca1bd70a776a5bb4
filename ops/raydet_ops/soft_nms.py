"""Soft non-maximum suppression (arXiv:1704.04503): overlapped boxes lose score instead of being dropped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from raydet_ops._arrays import as_given, to_tensor, widened
from raydet_ops._boxes import check_offset, check_scored, unknown_length
from raydet_ops._operator import define

Array = TypeVar("Array", Tensor, np.ndarray)

METHODS = ("naive", "linear", "gaussian")


def _plain(
    boxes: Tensor, scores: Tensor, method: int, iou_threshold: float, sigma: float, min_score: float, offset: int
) -> tuple[Tensor, Tensor]:
    decay: Callable[[np.ndarray], Any] = (
        lambda iou: 1.0 - (iou >= iou_threshold),
        lambda iou: np.where(iou >= iou_threshold, 1 - iou, 1),
        lambda iou: np.exp(-(np.nan_to_num(iou) ** 2) / sigma),
    )[method]
    with np.errstate(invalid="ignore"):  # two boxes without area
        keep, kept_scores = _select(boxes.cpu().numpy(), scores.cpu().numpy(), decay, min_score, offset)
    return torch.from_numpy(keep).to(boxes.device), torch.from_numpy(kept_scores).to(boxes.device)


def _select(
    boxes: np.ndarray, scores: np.ndarray, decay: Callable[[np.ndarray], Any], min_score: float, offset: int
) -> tuple[np.ndarray, np.ndarray]:
    """Indices and lowered scores in the order of their selection."""
    left, top, right, bottom = np.ascontiguousarray(boxes.T)
    right, bottom = right + offset, bottom + offset
    areas = (right - left) * (bottom - top)
    scores, gone = scores.copy(), np.zeros(len(scores), dtype=bool)
    keep: list[int] = []
    kept_scores: list[float] = []
    while not gone.all():
        best = int(np.where(gone, -np.inf, scores).argmax())
        keep.append(best)
        kept_scores.append(scores[best])
        gone[best] = True
        width = np.minimum(right, right[best]) - np.maximum(left, left[best])
        height = np.minimum(bottom, bottom[best]) - np.maximum(top, top[best])
        inter = np.maximum(width, 0) * np.maximum(height, 0)
        scores *= decay(inter / (areas + areas[best] - inter))
        gone |= scores < min_score
    return np.asarray(keep, dtype=np.int64), np.asarray(kept_scores, dtype=scores.dtype)


def _fake(boxes: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
    length = unknown_length()
    return boxes.new_empty(length, dtype=torch.int64), boxes.new_empty(length)


_choose = define(
    "soft_nms(Tensor boxes, Tensor scores, int method, float iou_threshold, float sigma, float min_score, int offset)"
    " -> (Tensor, Tensor)",
    plain=_plain,
    fake=_fake,
)


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

    Every choice waits for the one before: the work is done on the CPU, wherever the boxes are.

    Args:
        boxes: `(R, 4)` xyxy, tensor or array.
        scores: `(R,)`; NaN ranks last.
        iou_threshold: overlap from which `naive` drops and `linear` lowers.
        sigma: width of `gaussian`, positive.
        min_score: boxes whose score falls below are dropped.
        method: `linear`, `gaussian` or `naive` (plain suppression).
        offset: 1 when `x2`, `y2` are the last pixel inside the box, 0 when they are its border.

    Returns:
        `(D, 5)` kept boxes with lowered scores in the order of their selection, and their `(D,)` indices.

    Raises:
        ValueError: wrong shapes, unknown method or offset, sigma that is not positive, or different devices.
        TypeError: neither tensors nor arrays, or not of floating type.
    """
    plain_boxes, plain_scores = to_tensor(boxes), to_tensor(scores)
    check_scored(plain_boxes, plain_scores)
    kept_scores, keep = lower_scores(plain_boxes, plain_scores, iou_threshold, sigma, min_score, method, offset)
    dets = torch.cat([widened(plain_boxes.detach())[keep], kept_scores[:, None]], dim=1)
    return as_given(dets, boxes), as_given(keep, boxes)


def lower_scores(
    boxes: Tensor,
    scores: Tensor,
    iou_threshold: float = 0.3,
    sigma: float = 0.5,
    min_score: float = 1e-3,
    method: str = "linear",
    offset: int = 0,
) -> tuple[Tensor, Tensor]:
    """The lowered scores that `soft_nms` keeps, at least in single precision, and their indices."""
    if method not in METHODS:
        raise ValueError(f"method must be one of {sorted(METHODS)}, got {method!r}")
    check_offset(offset)
    if method == "gaussian" and not sigma > 0:
        raise ValueError(f"sigma must be positive, got {sigma!r}")
    host_boxes, host_scores = (widened(x.detach().cpu()) for x in (boxes, scores))
    ranked = host_scores.nan_to_num(nan=torch.finfo(host_scores.dtype).min).to(host_boxes.dtype)
    keep, kept_scores = _choose(
        host_boxes, ranked, METHODS.index(method), float(iou_threshold), float(sigma), float(min_score), offset
    )
    return kept_scores.to(boxes.device), keep.to(boxes.device)
