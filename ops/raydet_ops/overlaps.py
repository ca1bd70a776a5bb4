"""Overlap of boxes, pair by pair."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from raydet_ops._boxes import check_offset
from raydet_ops._checks import check_tensors
from raydet_ops._operator import define

MODES = ("iou", "iof", "giou")


def _plain(bboxes1: Tensor, bboxes2: Tensor, mode: int, aligned: bool, offset: int, eps: float) -> Tensor:
    if not aligned:
        bboxes1, bboxes2 = bboxes1[..., :, None, :], bboxes2[..., None, :, :]
    # Coordinate by coordinate: pairs of points would take twice the memory.
    left1, top1, right1, bottom1 = bboxes1.unbind(-1)
    left2, top2, right2, bottom2 = bboxes2.unbind(-1)
    if offset:
        right1, bottom1, right2, bottom2 = (side + offset for side in (right1, bottom1, right2, bottom2))
    width = (torch.min(right1, right2) - torch.max(left1, left2)).clamp(min=0)
    overlap = width * (torch.min(bottom1, bottom2) - torch.max(top1, top2)).clamp(min=0)
    area1 = (right1 - left1) * (bottom1 - top1)
    if MODES[mode] == "iof":
        return overlap / area1.clamp(min=eps)
    union = (area1 + (right2 - left2) * (bottom2 - top2) - overlap).clamp(min=eps)
    iou = overlap / union
    if MODES[mode] == "iou":
        return iou
    hull_width = (torch.max(right1, right2) - torch.min(left1, left2)).clamp(min=0)
    hull = hull_width * (torch.max(bottom1, bottom2) - torch.min(top1, top2)).clamp(min=0)
    hull = hull.clamp(min=eps)
    return iou - (hull - union) / hull


def _fake(bboxes1: Tensor, bboxes2: Tensor, mode: int, aligned: bool, offset: int, eps: float) -> Tensor:
    return bboxes1.new_empty(bboxes1.shape[:-1] if aligned else (*bboxes1.shape[:-1], bboxes2.shape[-2]))


_table = define(
    "bbox_overlaps(Tensor bboxes1, Tensor bboxes2, int mode, bool aligned, int offset, float eps) -> Tensor",
    plain=_plain,
    fake=_fake,
)


def bbox_overlaps(
    bboxes1: Tensor,
    bboxes2: Tensor,
    mode: str = "iou",
    aligned: bool = False,
    offset: int = 0,
    eps: float | None = None,
) -> Tensor:
    """Overlap of every pair of boxes, or of boxes at the same place.

    Gradients and half precision, whose rounding is that of each step, take PyTorch's own operators.

    Args:
        bboxes1: `(..., M, 4)` xyxy.
        bboxes2: `(..., N, 4)` xyxy.
        mode: `iou`; `iof`, intersection over the area of `bboxes1`; `giou` (arXiv:1902.09630).
        aligned: compare `bboxes1[i]` with `bboxes2[i]` only; then M equals N.
        offset: 1 when `x2`, `y2` are the last pixel inside the box, 0 when they are its border.
        eps: smallest denominator; `offset` when left out.

    Returns:
        `(..., M, N)`, or `(..., M)` when aligned; in [0, 1], for `giou` in [-1, 1].

    Raises:
        ValueError: unknown mode or offset, shapes that do not fit, or different devices.
        TypeError: not tensors of numbers.
    """
    _check(bboxes1, bboxes2, mode, aligned)
    check_offset(offset)
    options = MODES.index(mode), aligned, offset, float(offset if eps is None else eps)
    wants_gradient = torch.is_grad_enabled() and (bboxes1.requires_grad or bboxes2.requires_grad)
    if wants_gradient or bboxes1.dtype != bboxes2.dtype or bboxes1.dtype not in (torch.float32, torch.float64):
        return _plain(bboxes1, bboxes2, *options)
    if bboxes1.ndim == 3:
        return _table(bboxes1, bboxes2, *options)  # type: ignore[no-any-return]
    batches, batch = math.prod(bboxes1.shape[:-2]), bboxes1.shape[:-2]
    first, second = (boxes.reshape(batches, boxes.shape[-2], 4) for boxes in (bboxes1, bboxes2))
    table: Tensor = _table(first, second, *options)
    return table.reshape(*batch, *table.shape[1:])


def _check(bboxes1: Tensor, bboxes2: Tensor, mode: str, aligned: bool) -> None:
    if mode not in MODES:
        raise ValueError(f"mode must be one of {MODES}, got {mode!r}")
    check_tensors(bboxes1=bboxes1, bboxes2=bboxes2)
    for name, boxes in (("bboxes1", bboxes1), ("bboxes2", bboxes2)):
        if boxes.dtype == torch.bool:
            raise TypeError(f"{name} must hold numbers, got {boxes.dtype}")
        if boxes.ndim < 2 or boxes.shape[-1] != 4:
            raise ValueError(f"{name}: boxes must be (..., 4) in rows, got shape {tuple(boxes.shape)}")
    shapes = f"got shapes {tuple(bboxes1.shape)} of bboxes1 and {tuple(bboxes2.shape)} of bboxes2"
    if bboxes1.shape[:-2] != bboxes2.shape[:-2]:
        raise ValueError(f"batches must agree, {shapes}")
    if aligned and bboxes1.shape != bboxes2.shape:
        raise ValueError(f"aligned boxes must be equally many, {shapes}")
