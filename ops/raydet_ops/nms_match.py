"""The groups that greedy suppression forms."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch
import torchvision
from torch import Tensor

from raydet_ops._arrays import as_given, to_tensor, widened
from raydet_ops._boxes import unknown_length
from raydet_ops._checks import check_floating, check_shape, check_tensors
from raydet_ops._operator import define

Array = TypeVar("Array", Tensor, np.ndarray)


def _plain(boxes: Tensor, scores: Tensor, iou_threshold: float) -> tuple[Tensor, Tensor]:
    left = scores.argsort(descending=True, stable=True)
    overlaps = torchvision.ops.box_iou(boxes, boxes)
    groups = [left[:0]]
    while len(left):
        joins = overlaps[left[0], left] >= iou_threshold
        joins[0] = True
        groups.append(left[joins])
        left = left[~joins]
    return torch.cat(groups), left.new_tensor([len(group) for group in groups[1:]])


def _fake(boxes: Tensor, scores: Tensor, iou_threshold: float) -> tuple[Tensor, Tensor]:
    members = torch.empty_like(scores, dtype=torch.int64, memory_format=torch.contiguous_format)
    return members, members.new_empty(unknown_length())


_match = define(
    "nms_match(Tensor boxes, Tensor scores, float iou_threshold) -> (Tensor, Tensor)", plain=_plain, fake=_fake
)


def nms_match(dets: Array, iou_threshold: float) -> list[Array]:
    """Groups of boxes that greedy suppression forms: each kept box, best first, then those that it suppresses.

    Groups are lists, which live on the CPU: the work is done there, wherever the boxes are.

    Args:
        dets: `(R, 5)` boxes with scores, tensor or array.
        iou_threshold: boxes that overlap a kept box at least so much join its group.

    Returns:
        Index arrays, one per group, of the kind given.

    Raises:
        ValueError: `dets` is not `(R, 5)`.
        TypeError: neither a tensor nor an array, or not of floating type.
    """
    given = to_tensor(dets)
    check_tensors(dets=given)
    check_floating(dets=given)
    check_shape("dets", given, "R", 5)
    host = widened(given.detach().cpu())
    members, sizes = _match(host[:, :4], host[:, 4], float(iou_threshold))
    return [as_given(group, dets) for group in members.split(sizes.tolist())]
