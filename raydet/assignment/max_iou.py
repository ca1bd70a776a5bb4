"""Assignment by the best overlap (arXiv:1506.01497)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from raydet.assignment.base import BaseAssigner
from raydet.assignment.result import AssignResult
from raydet.registry import IOU_CALCULATORS


class MaxIoUAssigner(BaseAssigner):
    """Boxes that overlap a ground truth enough belong to it, those that overlap none are background.

    Args:
        pos_iou_thr: overlap from which a box is positive.
        neg_iou_thr: overlap below which it is background; or a pair, background from the first to below the second.
        min_pos_iou: each ground truth takes its best box from this overlap on, whatever `pos_iou_thr` says.
        gt_max_assign_all: it takes all boxes that share the best overlap, not only one.
        ignore_iof_thr: boxes covered by ignored regions by more than this are ignored; not positive turns it off.
        ignore_wrt_candidates: covered relative to the area of the box, otherwise to that of the region.
        match_low_quality: whether ground truths take their best boxes at all.
        gpu_assign_thr: with more ground truths compute on the CPU to save device memory; not positive: never.
        iou_calculator: how overlap is computed.
    """

    def __init__(
        self,
        pos_iou_thr: float,
        neg_iou_thr: float | tuple[float, float],
        min_pos_iou: float = 0.0,
        gt_max_assign_all: bool = True,
        ignore_iof_thr: float = -1,
        ignore_wrt_candidates: bool = True,
        match_low_quality: bool = True,
        gpu_assign_thr: int = -1,
        iou_calculator: Mapping[str, Any] | Any = {"type": "BboxOverlaps2D"},  # noqa: B006 (never changed)
    ) -> None:
        self.pos_iou_thr = pos_iou_thr
        self.neg_iou_thr = neg_iou_thr
        self.min_pos_iou = min_pos_iou
        self.gt_max_assign_all = gt_max_assign_all
        self.ignore_iof_thr = ignore_iof_thr
        self.ignore_wrt_candidates = ignore_wrt_candidates
        self.match_low_quality = match_low_quality
        self.gpu_assign_thr = gpu_assign_thr
        self.iou_calculator = IOU_CALCULATORS.build(iou_calculator)

    def assign(
        self,
        bboxes: Tensor,
        gt_bboxes: Tensor,
        gt_bboxes_ignore: Tensor | None = None,
        gt_labels: Tensor | None = None,
    ) -> AssignResult:
        """Assign boxes to ground truths.

        Args:
            bboxes: `(R, 4+)`.
            gt_bboxes: `(G, 4+)`.
            gt_bboxes_ignore: `(I, 4)` regions where nothing is right or wrong.
            gt_labels: `(G,)`.
        """
        device = bboxes.device
        if 0 < self.gpu_assign_thr < len(gt_bboxes):
            bboxes, gt_bboxes = bboxes.cpu(), gt_bboxes.cpu()
            gt_bboxes_ignore = None if gt_bboxes_ignore is None else gt_bboxes_ignore.cpu()
            gt_labels = None if gt_labels is None else gt_labels.cpu()
        overlaps = self.iou_calculator(gt_bboxes, bboxes)
        if self.ignore_iof_thr > 0 and gt_bboxes_ignore is not None and len(gt_bboxes_ignore) and len(bboxes):
            overlaps[:, self._covered(bboxes, gt_bboxes_ignore)] = -1
        result = self.assign_wrt_overlaps(overlaps, gt_labels)
        for name in ("gt_inds", "max_overlaps", "labels"):
            value = getattr(result, name)
            setattr(result, name, None if value is None else value.to(device))
        return result

    def _covered(self, bboxes: Tensor, ignored: Tensor) -> Tensor:
        """`(R,)` bool: boxes that ignored regions cover."""
        if self.ignore_wrt_candidates:
            cover = self.iou_calculator(bboxes, ignored, mode="iof").amax(dim=1)
        else:
            cover = self.iou_calculator(ignored, bboxes, mode="iof").amax(dim=0)
        return cover > self.ignore_iof_thr  # type: ignore[no-any-return]

    def assign_wrt_overlaps(self, overlaps: Tensor, gt_labels: Tensor | None = None) -> AssignResult:
        """Assign by overlaps `(G, R)`; columns of -1 are ignored."""
        num_gts, num_boxes = overlaps.shape
        if num_gts == 0 or num_boxes == 0:
            gt_inds = overlaps.new_full((num_boxes,), 0 if num_gts == 0 else -1, dtype=torch.long)
            return AssignResult.of(gt_inds, overlaps.new_zeros(num_boxes), num_gts, gt_labels)
        best, best_gt = overlaps.max(dim=0)
        low, high = (0, self.neg_iou_thr) if isinstance(self.neg_iou_thr, (int, float)) else self.neg_iou_thr
        gt_inds = torch.where((best >= low) & (best < high), 0, -1)
        gt_inds = torch.where(best >= self.pos_iou_thr, best_gt + 1, gt_inds)
        if self.match_low_quality:
            gt_inds = self._match_low_quality(overlaps, gt_inds)
        return AssignResult.of(gt_inds, best, num_gts, gt_labels)

    def _match_low_quality(self, overlaps: Tensor, gt_inds: Tensor) -> Tensor:
        """Give each ground truth its best boxes; where several want the same, the last one gets it."""
        peak, place = overlaps.max(dim=1)
        reached = peak >= self.min_pos_iou
        if self.gt_max_assign_all:
            gts, boxes = ((overlaps == peak[:, None]) & reached[:, None]).nonzero(as_tuple=True)
        else:
            gts = reached.nonzero().squeeze(1)
            boxes = place[gts]
        claims = torch.zeros_like(gt_inds).scatter_reduce_(0, boxes, gts + 1, reduce="amax")
        return torch.where(claims > 0, claims, gt_inds)
