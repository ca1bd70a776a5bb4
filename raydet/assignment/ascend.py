"""`MaxIoUAssigner` for a whole batch at once, with shapes that do not depend on the data."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from raydet.assignment.candidates import best_boxes
from raydet.assignment.max_iou import MaxIoUAssigner


@dataclass(frozen=True, slots=True)
class AscendAssignResult:
    """Which ground truth each box of each image belongs to.

    Attributes:
        batch_num_gts: ground truths of each image; the others only pad.
        batch_pos_mask: `(N, R)` int32, 1 for positives.
        batch_neg_mask: `(N, R)` int32, 1 for background.
        batch_max_overlaps: `(N, R)` overlap with the best ground truth.
        batch_anchor_gt_indes: `(N, R)` the assigned or else the best ground truth, from 0 (spelt as in 2.x).
        batch_anchor_gt_labels: `(N, R)` its class, or None.
    """

    batch_num_gts: Tensor | None
    batch_pos_mask: Tensor
    batch_neg_mask: Tensor
    batch_max_overlaps: Tensor
    batch_anchor_gt_indes: Tensor
    batch_anchor_gt_labels: Tensor | None = None


class AscendMaxIoUAssigner(MaxIoUAssigner):
    """`MaxIoUAssigner` of padded batches; its arguments, but a best box must overlap its ground truth at all."""

    def assign(  # type: ignore[override]
        self,
        batch_bboxes: Tensor,
        batch_gt_bboxes: Tensor,
        batch_gt_bboxes_ignore: Tensor | None = None,
        batch_gt_labels: Tensor | None = None,
        batch_bboxes_ignore_mask: Tensor | None = None,
        batch_num_gts: Tensor | None = None,
    ) -> AscendAssignResult:
        """Assign boxes to ground truths.

        Args:
            batch_bboxes: `(N, R, 4)`.
            batch_gt_bboxes: `(N, G, 4)`, padded with boxes that overlap nothing.
            batch_gt_bboxes_ignore: `(N, I, 4)` regions where nothing is right or wrong.
            batch_gt_labels: `(N, G)`.
            batch_bboxes_ignore_mask: `(N, R)` bool, false for boxes that take no part.
            batch_num_gts: handed on to the result.
        """
        overlaps = self.iou_calculator(batch_gt_bboxes, batch_bboxes)
        if batch_bboxes_ignore_mask is not None:
            overlaps = overlaps.masked_fill(~batch_bboxes_ignore_mask.bool()[:, None], -1)
        if self.ignore_iof_thr > 0 and batch_gt_bboxes_ignore is not None:
            overlaps = overlaps.masked_fill(self.covered(batch_bboxes, batch_gt_bboxes_ignore)[:, None], -1)
        best, owner = overlaps.max(dim=1)
        positive = best >= self.pos_iou_thr
        if self.match_low_quality:
            claims = best_boxes(overlaps, lambda peak: (peak >= self.min_pos_iou) & (peak > 0), self.gt_max_assign_all)
            positive |= claims > 0
            owner = torch.where(claims > 0, claims - 1, owner)
        negative = self.is_background(best) & ~positive
        labels = None if batch_gt_labels is None else batch_gt_labels.gather(1, owner)
        return AscendAssignResult(batch_num_gts, positive.int(), negative.int(), best, owner, labels)
