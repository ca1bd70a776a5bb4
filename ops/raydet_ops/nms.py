"""Greedy non-maximum suppression: of one set of boxes, of many classes at once, and with the groups it forms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
import torch
import torchvision
from torch import Tensor

from raydet_ops._arrays import as_given, to_tensor, widened
from raydet_ops.soft_nms import soft_nms

Array = TypeVar("Array", Tensor, np.ndarray)
Result = tuple[Tensor, Tensor]

SPLIT_THRESHOLD = 10_000
"""From so many boxes on, classes are suppressed one after the other instead of all at once."""


def nms(
    boxes: Array,
    scores: Array,
    iou_threshold: float,
    offset: int = 0,
    score_threshold: float = 0,
    max_num: int = -1,
) -> tuple[Array, Array]:
    """Drop every box that overlaps a kept box of higher score.

    Args:
        boxes: `(R, 4)` xyxy, tensor or array.
        scores: `(R,)`.
        iou_threshold: boxes that overlap by more are dropped.
        offset: 1 when `x2`, `y2` are the last pixel inside the box, 0 when they are its border.
        score_threshold: boxes must score more; 0 keeps all.
        max_num: keep the best so many; not positive means all.

    Returns:
        `(D, 5)` kept boxes with scores, best first, and their `(D,)` indices, of the kind given.

    Raises:
        ValueError: wrong shapes or offset.
    """
    _check(boxes, scores, offset)
    dets, keep = _nms(to_tensor(boxes), to_tensor(scores), iou_threshold, offset, score_threshold, max_num)
    return as_given(dets, boxes), as_given(keep, boxes)


def _nms(
    boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int = 0, score_threshold: float = 0, max_num: int = -1
) -> Result:
    candidates = (scores > score_threshold).nonzero().squeeze(1) if score_threshold > 0 else None
    if candidates is not None:
        boxes, scores = boxes[candidates], scores[candidates]
    areas = widened(boxes)
    if offset:
        areas = torch.cat([areas[:, :2], areas[:, 2:] + offset], dim=1)
    keep = torchvision.ops.nms(areas, widened(scores), iou_threshold)
    if max_num > 0:
        keep = keep[:max_num]
    dets = torch.cat([boxes[keep], scores[keep, None]], dim=1)
    return dets, keep if candidates is None else candidates[keep]


def _soft_nms(boxes: Tensor, scores: Tensor, max_num: int = -1, **options: Any) -> Result:
    dets, keep = soft_nms(boxes, scores, **options)
    return (dets[:max_num], keep[:max_num]) if max_num > 0 else (dets, keep)


METHODS: dict[str, Callable[..., Result]] = {"nms": _nms, "soft_nms": _soft_nms}


def batched_nms(
    boxes: Tensor,
    scores: Tensor,
    idxs: Tensor,
    nms_cfg: Mapping[str, Any] | None,
    class_agnostic: bool = False,
) -> Result:
    """Suppress boxes within each class.

    Args:
        boxes: `(R, 4)` xyxy.
        scores: `(R,)`.
        idxs: `(R,)` class of each box.
        nms_cfg: `type` (`nms` or `soft_nms`) and its arguments (`iou_thr` is the old name of `iou_threshold`); also
            `class_agnostic`, `split_thr` and `max_num`. None only sorts by score.
        class_agnostic: suppress across classes.

    Returns:
        `(D, 5)` kept boxes with scores, best first, and their `(D,)` indices.

    Raises:
        ValueError: `nms_cfg` names an unknown method.
    """
    if nms_cfg is None:
        scores, order = scores.sort(descending=True)
        return torch.cat([boxes[order], scores[:, None]], dim=1), order
    options = dict(nms_cfg)
    class_agnostic = options.pop("class_agnostic", class_agnostic)
    split_threshold = options.pop("split_thr", SPLIT_THRESHOLD)
    method = _method(options.pop("type", "nms"))
    if "iou_thr" in options:
        options.setdefault("iou_threshold", options.pop("iou_thr"))
    if class_agnostic or boxes.numel() == 0:
        return method(boxes, scores, **options)
    # Far apart, boxes of different classes cannot suppress each other.
    wide = widened(boxes)
    shifted = wide + (idxs.to(wide) * (wide.max() + 1))[:, None]
    if len(boxes) < split_threshold:
        dets, keep = method(shifted, scores, **options)
    else:
        dets, keep = _class_by_class(shifted, scores, idxs, method, options)
    return torch.cat([boxes[keep], dets[:, 4:]], dim=1), keep


def _class_by_class(
    boxes: Tensor, scores: Tensor, idxs: Tensor, method: Callable[..., Result], options: dict[str, Any]
) -> Result:
    """Suppress one class at a time, which needs less memory."""
    max_num = options.pop("max_num", -1)
    dets, keep = [], []
    for members in (torch.nonzero(idxs == label).squeeze(1) for label in torch.unique(idxs)):
        class_dets, class_keep = method(boxes[members], scores[members], **options)
        dets.append(class_dets)
        keep.append(members[class_keep])
    all_dets, all_keep = torch.cat(dets), torch.cat(keep)
    order = all_keep.argsort()
    order = order[all_dets[order, 4].argsort(descending=True, stable=True)]
    if max_num > 0:
        order = order[:max_num]
    return all_dets[order], all_keep[order]


def nms_match(dets: Array, iou_threshold: float) -> list[Array]:
    """Groups of boxes that greedy suppression forms: each kept box, best first, then those that it suppresses.

    Args:
        dets: `(R, 5)` boxes with scores, tensor or array.
        iou_threshold: boxes that overlap a kept box at least so much join its group.

    Returns:
        Index arrays, one per group, of the kind given.

    Raises:
        ValueError: `dets` is not `(R, 5)`.
    """
    if dets.ndim != 2 or dets.shape[1] != 5:
        raise ValueError(f"dets must be (R, 5) boxes with scores, got shape {tuple(dets.shape)}")
    tensor = to_tensor(dets)
    left = tensor[:, 4].argsort(descending=True, stable=True)
    overlaps = torchvision.ops.box_iou(tensor[:, :4], tensor[:, :4])
    groups = []
    while len(left):
        joins = overlaps[left[0], left] >= iou_threshold
        joins[0] = True
        groups.append(as_given(left[joins], dets))
        left = left[~joins]
    return groups


def _method(name: str) -> Callable[..., Result]:
    if name not in METHODS:
        raise ValueError(f"nms type must be one of {sorted(METHODS)}, got {name!r}")
    return METHODS[name]


def _check(boxes: Any, scores: Any, offset: int) -> None:
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"boxes must be (R, 4), got shape {tuple(boxes.shape)}")
    if len(boxes) != len(scores):
        raise ValueError(f"one score per box is needed, got {len(boxes)} boxes and {len(scores)} scores")
    if offset not in (0, 1):
        raise ValueError(f"offset must be 0 or 1, got {offset!r}")
