"""Assignment of equally many boxes to every ground truth (YOLOF, arXiv:2103.09460)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from raydet.assignment.base import BOX_OVERLAPS, BaseAssigner
from raydet.assignment.result import AssignResult
from raydet.geometry import bbox_xyxy_to_cxcywh
from raydet.registry import IOU_CALCULATORS


class UniformAssigner(BaseAssigner):
    """Each ground truth takes its nearest predictions and its nearest anchors.

    Args:
        pos_ignore_thr: taken boxes are ignored where their anchor overlaps the ground truth less.
        neg_ignore_thr: other boxes are ignored where their prediction overlaps any ground truth more.
        match_times: how many predictions, and how many anchors, each ground truth takes.
        iou_calculator: how overlap is computed.
    """

    def __init__(
        self,
        pos_ignore_thr: float,
        neg_ignore_thr: float,
        match_times: int = 4,
        iou_calculator: Mapping[str, Any] | Any = BOX_OVERLAPS,
    ) -> None:
        self.pos_ignore_thr = pos_ignore_thr
        self.neg_ignore_thr = neg_ignore_thr
        self.match_times = match_times
        self.iou_calculator = IOU_CALCULATORS.build(iou_calculator)

    def assign(
        self,
        bbox_pred: Tensor,
        anchor: Tensor,
        gt_bboxes: Tensor,
        gt_bboxes_ignore: Tensor | None = None,
        gt_labels: Tensor | None = None,
    ) -> AssignResult:
        """Assign anchors to ground truths.

        Args:
            bbox_pred: `(R, 4)` predicted boxes.
            anchor: `(R, 4)`.
            gt_bboxes: `(G, 4)`.
            gt_bboxes_ignore: without effect, as in 2.x.
            gt_labels: `(G,)`.

        Returns:
            `max_overlaps` is `(G,)`, the best anchor of each ground truth, as in 2.x. Extra properties, one row for
            each of the `M` boxes taken: `pos_idx` `(M,)` bool, not ignored; `pos_predicted_boxes` and `target_boxes`,
            both `(M, 4)`.
        """
        gt_inds = torch.zeros(len(bbox_pred), dtype=torch.long, device=bbox_pred.device)
        if len(bbox_pred) == 0 or len(gt_bboxes) == 0:
            result = AssignResult.of(gt_inds, None, len(gt_bboxes), gt_labels)
            return _with_taken(result, gt_inds.new_empty(0, dtype=torch.bool), bbox_pred[:0], gt_bboxes[:0])
        overlaps = self.iou_calculator(anchor, gt_bboxes)
        boxes, owners = self._take(bbox_pred, anchor, gt_bboxes)
        good = overlaps[boxes, owners] >= self.pos_ignore_thr
        gt_inds[self.iou_calculator(bbox_pred, gt_bboxes).amax(dim=1) > self.neg_ignore_thr] = -1
        # A box taken several times goes to whom took it last, on every device.
        order = torch.arange(len(boxes), device=boxes.device)
        last = torch.full_like(gt_inds, -1).scatter_reduce_(0, boxes, order, reduce="amax")
        taken = torch.where(good, owners + 1, -1)[last]
        result = AssignResult.of(
            torch.where(last >= 0, taken, gt_inds), overlaps.amax(dim=0), len(gt_bboxes), gt_labels
        )
        return _with_taken(result, good, bbox_pred[boxes], gt_bboxes[owners])

    def _take(self, bbox_pred: Tensor, anchor: Tensor, gt_bboxes: Tensor) -> tuple[Tensor, Tensor]:
        """`(M,)` boxes that are taken, and `(M,)` the ground truths that take them, from 0; nearest first."""
        truths = bbox_xyxy_to_cxcywh(gt_bboxes)
        num = min(self.match_times, len(anchor))
        nearest = [
            torch.cdist(bbox_xyxy_to_cxcywh(each), truths, p=1).topk(num, dim=0, largest=False).indices
            for each in (bbox_pred, anchor)
        ]
        owners = torch.arange(len(gt_bboxes), device=gt_bboxes.device).repeat(2 * num)
        return torch.cat(nearest, dim=1).flatten(), owners


def _with_taken(result: AssignResult, good: Tensor, predicted: Tensor, wanted: Tensor) -> AssignResult:
    result.set_extra_property("pos_idx", good)
    result.set_extra_property("pos_predicted_boxes", predicted)
    result.set_extra_property("target_boxes", wanted)
    return result
