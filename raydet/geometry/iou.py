"""Overlap of boxes."""

from __future__ import annotations

import raydet_ops
from torch import Tensor


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
    return raydet_ops.bbox_overlaps(bboxes1, bboxes2, mode, is_aligned, eps=eps)


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
