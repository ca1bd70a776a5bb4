"""Greedy non-maximum suppression: of one set of boxes, and of many classes at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
import torch
import torchvision
from torch import Tensor

from raydet_ops._arrays import as_given, to_tensor, widened
from raydet_ops._boxes import check_offset, check_scored, unknown_length
from raydet_ops._checks import check_shape, check_tensors
from raydet_ops._operator import define
from raydet_ops.soft_nms import lower_scores

Array = TypeVar("Array", Tensor, np.ndarray)
Result = tuple[Tensor, Tensor]

SPLIT_THRESHOLD = 10_000
"""From so many boxes on, classes are suppressed apart even where they would meet."""


def _plain(
    boxes: Tensor, scores: Tensor, groups: Tensor | None, split: bool, iou_threshold: float, offset: int, max_num: int
) -> Tensor:
    grown = torch.cat([boxes[:, :2], boxes[:, 2:] + offset], dim=1) if offset else boxes
    if groups is None or not split:
        keep: Tensor = torchvision.ops.nms(grown, scores.to(boxes.dtype), iou_threshold)
    else:
        members = [(groups == group).nonzero().squeeze(1) for group in torch.unique(groups)]
        parts = [
            part[torchvision.ops.nms(grown[part], scores[part].to(boxes.dtype), iou_threshold)] for part in members
        ]
        keep = torch.cat(parts).sort().values if parts else groups
        keep = keep[scores[keep].argsort(descending=True, stable=True)]
    return keep[:max_num].clone() if max_num > 0 else keep


def _fake(boxes: Tensor, *_: Any) -> Tensor:
    keep: Tensor = boxes.new_empty(unknown_length(), dtype=torch.int64)
    return keep


_ARGUMENTS = (
    "(Tensor boxes, Tensor scores, Tensor? groups, bool split, float iou_threshold, int offset, int max_num) -> Tensor"
)
_suppress = define(f"nms{_ARGUMENTS}", plain=_plain, fake=_fake)
# How CUDA suppresses, also on the CPU, where tests compare the two.
define(f"nms_by_words{_ARGUMENTS}", plain=_plain, fake=_fake)


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
        ValueError: wrong shapes or offset, or boxes and scores on different devices.
        TypeError: neither tensors nor arrays, or not of floating type.
    """
    plain_boxes, plain_scores = to_tensor(boxes), to_tensor(scores)
    check_scored(plain_boxes, plain_scores)
    check_offset(offset)
    kept_scores, keep = _nms(plain_boxes, plain_scores, iou_threshold, offset, score_threshold, max_num)
    dets = torch.cat([plain_boxes[keep], kept_scores[:, None]], dim=1)
    return as_given(dets, boxes), as_given(keep, boxes)


def _nms(
    boxes: Tensor,
    scores: Tensor,
    iou_threshold: float,
    offset: int = 0,
    score_threshold: float = 0,
    max_num: int = -1,
    groups: Tensor | None = None,
    split: bool = False,
) -> Result:
    """Kept scores, best first, and their indices.

    Groups are a hint that boxes of different ones lie apart, which the CPU uses where it holds; with `split` they are
    apart wherever they lie.
    """
    if score_threshold > 0:
        above = (scores > score_threshold).nonzero().squeeze(1)
        groups = None if groups is None else groups[above]
        kept_scores, keep = _nms(boxes[above], scores[above], iou_threshold, offset, 0, max_num, groups, split)
        return kept_scores, above[keep]
    wide, ranked = widened(boxes.detach()), widened(scores.detach())
    options = (split, float(iou_threshold), offset, max_num)
    if split or not boxes.is_cpu:
        keep = _suppress(wide, ranked, groups, *options)
        return scores[keep], keep
    # Equal scores stand by index, except where 2.x sorts on the CPU: there they stand as torch happens to sort them.
    order = ranked.sort(descending=True).indices
    groups = None if groups is None else groups[order]
    keep = order[_suppress(wide[order], ranked[order], groups, *options)]
    return scores[keep], keep


def _soft_nms(boxes: Tensor, scores: Tensor, max_num: int = -1, **options: Any) -> Result:
    kept_scores, keep = lower_scores(boxes, scores, **options)
    return (kept_scores[:max_num], keep[:max_num]) if max_num > 0 else (kept_scores, keep)


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
        ValueError: `nms_cfg` names an unknown method, or wrong shapes or devices.
        TypeError: boxes or scores are not floating tensors.
    """
    check_scored(boxes, scores)
    check_tensors(boxes=boxes, idxs=idxs)
    if nms_cfg is None:
        scores, order = scores.sort(descending=True)
        return torch.cat([boxes[order], scores[:, None]], dim=1), order
    options = dict(nms_cfg)
    class_agnostic = options.pop("class_agnostic", class_agnostic)
    split = len(boxes) >= options.pop("split_thr", SPLIT_THRESHOLD)
    method = _method(options.pop("type", "nms"))
    check_offset(options.get("offset", 0))
    if "iou_thr" in options:
        options.setdefault("iou_threshold", options.pop("iou_thr"))
    if class_agnostic or boxes.numel() == 0:
        kept_scores, keep = method(boxes, scores, **options)
    else:
        check_shape("idxs", idxs, len(boxes))
        kept_scores, keep = _class_by_class(boxes, scores, idxs, split, method, options)
    return torch.cat([boxes[keep], kept_scores[:, None]], dim=1), keep


def _class_by_class(
    boxes: Tensor, scores: Tensor, idxs: Tensor, split: bool, method: Callable[..., Result], options: dict[str, Any]
) -> Result:
    # Far apart, boxes of different classes cannot suppress each other.
    wide = widened(boxes)
    shifted = wide + (idxs.to(wide) * (wide.max() + 1))[:, None]
    if method is _nms:
        return _nms(shifted, scores, groups=idxs.long(), split=split, **options)
    if not split:
        return method(shifted, scores, **options)
    max_num = options.pop("max_num", -1)
    parts = []
    for members in (torch.nonzero(idxs == label).squeeze(1) for label in torch.unique(idxs)):
        kept_scores, keep = method(shifted[members], scores[members], **options)
        parts.append((kept_scores, members[keep]))
    all_scores, all_keep = (torch.cat(part) for part in zip(*parts, strict=True))
    order = all_keep.argsort()
    order = order[all_scores[order].argsort(descending=True, stable=True)]
    if max_num > 0:
        order = order[:max_num]
    return all_scores[order], all_keep[order]


def _method(name: str) -> Callable[..., Result]:
    if name not in METHODS:
        raise ValueError(f"nms type must be one of {sorted(METHODS)}, got {name!r}")
    return METHODS[name]
