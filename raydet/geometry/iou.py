"""Overlap of boxes."""

from __future__ import annotations

import torch
from torch import Tensor

MODES = ("iou", "iof", "giou")


def bbox_overlaps(
    bboxes1: Tensor, bboxes2: Tensor, mode: str = "iou", is_aligned: bool = False, eps: float = 1e-6
) -> Tensor:
    """Overlap of every pair of boxes, or of boxes at the same place.

    Args:
        bboxes1: `(..., M, 4)` xyxy.
        bboxes2: `(..., N, 4)` xyxy.
        mode: `iou`; `iof`, intersection over the area of `bboxes1`; `giou` (arXiv:1902.09630).
        is_aligned: compare `bboxes1[i]` with `bboxes2[i]` only; then M equals N.
        eps: smallest denominator.

    Returns:
        `(..., M, N)`, or `(..., M)` when aligned; in [0, 1], for `giou` in [-1, 1].

    Raises:
        ValueError: unknown mode or shapes that do not fit.
    """
    _check(bboxes1, bboxes2, mode, is_aligned)
    if not is_aligned:
        bboxes1, bboxes2 = bboxes1[..., :, None, :], bboxes2[..., None, :, :]
    # Coordinate by coordinate: pairs of points would take twice the memory.
    left1, top1, right1, bottom1 = bboxes1.unbind(-1)
    left2, top2, right2, bottom2 = bboxes2.unbind(-1)
    width = (torch.min(right1, right2) - torch.max(left1, left2)).clamp(min=0)
    overlap = width * (torch.min(bottom1, bottom2) - torch.max(top1, top2)).clamp(min=0)
    area1 = (right1 - left1) * (bottom1 - top1)
    if mode == "iof":
        return overlap / area1.clamp(min=eps)
    union = (area1 + (right2 - left2) * (bottom2 - top2) - overlap).clamp(min=eps)
    iou = overlap / union
    if mode == "iou":
        return iou
    hull_width = (torch.max(right1, right2) - torch.min(left1, left2)).clamp(min=0)
    hull = hull_width * (torch.max(bottom1, bottom2) - torch.min(top1, top2)).clamp(min=0)
    hull = hull.clamp(min=eps)
    return iou - (hull - union) / hull


def _check(bboxes1: Tensor, bboxes2: Tensor, mode: str, is_aligned: bool) -> None:
    if mode not in MODES:
        raise ValueError(f"mode must be one of {MODES}, got {mode!r}")
    for boxes in (bboxes1, bboxes2):
        if boxes.shape[-1] != 4:
            raise ValueError(f"boxes must be (..., 4), got shape {tuple(boxes.shape)}")
    if bboxes1.shape[:-2] != bboxes2.shape[:-2]:
        raise ValueError(f"batches must agree, got shapes {tuple(bboxes1.shape)} and {tuple(bboxes2.shape)}")
    if is_aligned and bboxes1.shape != bboxes2.shape:
        raise ValueError(
            f"aligned boxes must be equally many, got shapes {tuple(bboxes1.shape)} and {tuple(bboxes2.shape)}"
        )


class BboxOverlaps2D:
    """`bbox_overlaps` as a calculator for assigners, in half precision if wanted.

    Args:
        scale: divides the coordinates in half precision, so that areas stay in its range.
        dtype: `fp16` for half precision, which takes half the memory; None for that of the boxes.
    """

    def __init__(self, scale: float = 1.0, dtype: str | None = None) -> None:
        if dtype not in (None, "fp16"):
            raise ValueError(f"dtype must be None or 'fp16', got {dtype!r}")
        self.scale = scale
        self.dtype = dtype

    def __call__(self, bboxes1: Tensor, bboxes2: Tensor, mode: str = "iou", is_aligned: bool = False) -> Tensor:
        """As `bbox_overlaps`; a fifth column (scores) is ignored."""
        bboxes1, bboxes2 = bboxes1[..., :4], bboxes2[..., :4]
        if self.dtype is None:
            return bbox_overlaps(bboxes1, bboxes2, mode, is_aligned)
        overlaps = bbox_overlaps((bboxes1 / self.scale).half(), (bboxes2 / self.scale).half(), mode, is_aligned)
        return overlaps if overlaps.is_cuda else overlaps.float()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(scale={self.scale}, dtype={self.dtype})"
