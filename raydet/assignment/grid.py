"""Assignment by overlap within the cell that holds the ground truth's center (YOLO, arXiv:1804.02767)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from raydet.assignment.base import BOX_OVERLAPS, BaseAssigner
from raydet.assignment.candidates import best_boxes
from raydet.assignment.result import AssignResult
from raydet.registry import IOU_CALCULATORS


class GridAssigner(BaseAssigner):
    """Only boxes of a responsible cell may be positive, all that overlap little are background.

    Args:
        pos_iou_thr: overlap above which a responsible box is positive.
        neg_iou_thr: overlap up to which a box is background; or a pair, background above the first, up to the second.
        min_pos_iou: each ground truth takes its best responsible box above this overlap.
        gt_max_assign_all: it takes all boxes that share the best overlap, not only one.
        iou_calculator: how overlap is computed.
    """

    def __init__(
        self,
        pos_iou_thr: float,
        neg_iou_thr: float | tuple[float, float],
        min_pos_iou: float = 0.0,
        gt_max_assign_all: bool = True,
        iou_calculator: Mapping[str, Any] | Any = BOX_OVERLAPS,
    ) -> None:
        self.pos_iou_thr = pos_iou_thr
        self.neg_iou_thr = neg_iou_thr
        self.min_pos_iou = min_pos_iou
        self.gt_max_assign_all = gt_max_assign_all
        self.iou_calculator = IOU_CALCULATORS.build(iou_calculator)

    def assign(
        self, bboxes: Tensor, box_responsible_flags: Tensor, gt_bboxes: Tensor, gt_labels: Tensor | None = None
    ) -> AssignResult:
        """Assign boxes to ground truths.

        Args:
            bboxes: `(R, 4)`.
            box_responsible_flags: `(R,)` whether the box's cell holds the center of a ground truth.
            gt_bboxes: `(G, 4)`.
            gt_labels: `(G,)`.
        """
        if len(bboxes) == 0 or len(gt_bboxes) == 0:
            return AssignResult.background(bboxes, len(gt_bboxes), gt_labels)
        overlaps = self.iou_calculator(gt_bboxes, bboxes)
        gt_inds = torch.where(self._is_background(overlaps.amax(dim=0)), 0, -1)
        # From here on only responsible boxes overlap anything.
        overlaps = overlaps.masked_fill(~box_responsible_flags.bool(), -1)
        best, best_gt = overlaps.max(dim=0)
        gt_inds = torch.where(best > max(self.pos_iou_thr, -1), best_gt + 1, gt_inds)
        least = max(self.min_pos_iou, -1)
        claims = best_boxes(overlaps[None], lambda peak: peak > least, self.gt_max_assign_all)[0]
        return AssignResult.of(torch.where(claims > 0, claims, gt_inds), best, len(gt_bboxes), gt_labels)

    def _is_background(self, best: Tensor) -> Tensor:
        if isinstance(self.neg_iou_thr, (int, float)):
            return (best >= 0) & (best <= self.neg_iou_thr)
        low, high = self.neg_iou_thr
        return (best > low) & (best <= high)
