"""From scores of every box and class to the detections of an image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from raydet_ops import batched_nms
from torch import Tensor

from raydet.geometry.iou import bbox_overlaps


def multiclass_nms(
    multi_bboxes: Tensor,
    multi_scores: Tensor,
    score_thr: float,
    nms_cfg: Mapping[str, Any] | None,
    max_num: int = -1,
    score_factors: Tensor | None = None,
    return_inds: bool = False,
) -> tuple[Tensor, ...]:
    """Suppress overlapping boxes of each class.

    Args:
        multi_bboxes: `(R, 4)`, or `(R, 4 K)` with one box per class.
        multi_scores: `(R, K + 1)`; the last column is background.
        score_thr: boxes must score more.
        nms_cfg: see `raydet_ops.batched_nms`.
        max_num: keep the best so many; not positive means all.
        score_factors: `(R,)`, multiplied with the scores of boxes above the threshold.
        return_inds: also return where the boxes were.

    Returns:
        `(D, 5)` boxes with scores, best first; `(D,)` labels; with `return_inds` `(D,)` indices into the flat
        `R * K` axis.
    """
    scores = multi_scores[:, :-1]
    boxes = multi_bboxes.view(len(multi_bboxes), multi_bboxes.shape[1] // 4, 4)
    rows, labels = (scores > score_thr).nonzero(as_tuple=True)
    chosen_boxes = boxes[rows, labels] if boxes.shape[1] > 1 else boxes[rows, 0]
    chosen_scores = scores[rows, labels]
    if score_factors is not None:
        chosen_scores = chosen_scores * score_factors[rows]
    dets, keep = batched_nms(chosen_boxes, chosen_scores, labels, nms_cfg)
    if max_num > 0:
        dets, keep = dets[:max_num], keep[:max_num]
    if return_inds:
        return dets, labels[keep], rows[keep] * scores.shape[1] + labels[keep]
    return dets, labels[keep]


def fast_nms(
    multi_bboxes: Tensor,
    multi_scores: Tensor,
    multi_coeffs: Tensor,
    score_thr: float,
    iou_thr: float,
    top_k: int,
    max_num: int = -1,
) -> tuple[Tensor, Tensor, Tensor]:
    """Suppress without order (arXiv:1904.02689): dropped boxes may drop others.

    Args:
        multi_bboxes: `(R, 4)`.
        multi_scores: `(R, K + 1)`; the last column is background.
        multi_coeffs: `(R, M)` mask coefficients.
        score_thr: boxes must score more.
        iou_thr: boxes that overlap a better one of their class by more are dropped.
        top_k: consider the best so many of each class.
        max_num: keep the best so many; not positive means all.

    Returns:
        `(D, 5)` boxes with scores, best first; `(D,)` labels; `(D, M)` coefficients.
    """
    scores, order = multi_scores[:, :-1].t().sort(dim=1, descending=True)
    scores, order = scores[:, :top_k], order[:, :top_k]
    boxes = multi_bboxes[order]
    worst = bbox_overlaps(boxes, boxes).triu_(diagonal=1).amax(dim=1) if boxes.numel() else scores
    labels, ranks = ((worst <= iou_thr) & (scores > score_thr)).nonzero(as_tuple=True)
    kept_scores, best = scores[labels, ranks].sort(descending=True)
    if max_num > 0:
        kept_scores, best = kept_scores[:max_num], best[:max_num]
    labels, ranks = labels[best], ranks[best]
    places = order[labels, ranks]
    return torch.cat([multi_bboxes[places], kept_scores[:, None]], dim=1), labels, multi_coeffs[places]


def filter_scores_and_topk(
    scores: Tensor, score_thr: float, topk: int, results: Any = None
) -> tuple[Tensor, Tensor, Tensor, Any]:
    """The best `topk` scores above a threshold, and the rows that belong to them.

    Args:
        scores: `(R, K)`.
        score_thr: scores must be greater.
        topk: how many at most.
        results: tensors `(R, ...)` to take the same rows of: one, a list or a dict.

    Returns:
        Scores `(D,)` best first, labels `(D,)`, rows `(D,)` and the chosen rows of `results`.
    """
    rows, labels = (scores > score_thr).nonzero(as_tuple=True)
    best, order = scores[rows, labels].sort(descending=True)
    order = order[:topk]
    rows, labels = rows[order], labels[order]
    return best[:topk], labels, rows, _rows_of(results, rows)


def _rows_of(results: Any, rows: Tensor) -> Any:
    if isinstance(results, Mapping):
        return {key: value[rows] for key, value in results.items()}
    if isinstance(results, (list, tuple)):
        return [value[rows] for value in results]
    return None if results is None else results[rows]
