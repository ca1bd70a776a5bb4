"""Assignment by the best overlap (arXiv:1506.01497)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from raydet.assignment.base import BOX_OVERLAPS, BaseAssigner
from raydet.assignment.candidates import best_boxes
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
        iou_calculator: Mapping[str, Any] | Any = BOX_OVERLAPS,
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
        overlaps = self.measure(gt_bboxes, bboxes)
        return self.decide(overlaps, bboxes, gt_bboxes_ignore, gt_labels)

    def measure(self, gt_bboxes: Tensor, bboxes: Tensor) -> Tensor:
        """Overlaps `(G, R)`, on the CPU when there are too many for the device."""
        if 0 < self.gpu_assign_thr < len(gt_bboxes):
            gt_bboxes, bboxes = gt_bboxes.cpu(), bboxes.cpu()
        return self.iou_calculator(gt_bboxes, bboxes)  # type: ignore[no-any-return]

    def decide(
        self, overlaps: Tensor, bboxes: Tensor, gt_bboxes_ignore: Tensor | None, gt_labels: Tensor | None
    ) -> AssignResult:
        """Assign `bboxes` by overlaps `(G, R)`, which are changed; the result is on the device of the boxes."""
        place = overlaps.device
        if gt_bboxes_ignore is not None and len(gt_bboxes_ignore) and len(bboxes) and self.ignore_iof_thr > 0:
            overlaps[:, self.covered(bboxes.to(place), gt_bboxes_ignore.to(place))] = -1
        result = self.assign_wrt_overlaps(overlaps, None if gt_labels is None else gt_labels.to(place))
        for name in ("gt_inds", "max_overlaps", "labels"):
            value = getattr(result, name)
            setattr(result, name, None if value is None else value.to(bboxes.device))
        return result

    def covered(self, bboxes: Tensor, ignored: Tensor) -> Tensor:
        """`(..., R)` bool: boxes that ignored regions cover."""
        if self.ignore_wrt_candidates:
            cover = self.iou_calculator(bboxes, ignored, mode="iof").amax(dim=-1)
        else:
            cover = self.iou_calculator(ignored, bboxes, mode="iof").amax(dim=-2)
        return cover > self.ignore_iof_thr  # type: ignore[no-any-return]

    def is_background(self, best: Tensor) -> Tensor:
        """Where the best overlap of a box is that of background."""
        low, high = (0, self.neg_iou_thr) if isinstance(self.neg_iou_thr, (int, float)) else self.neg_iou_thr
        return (best >= low) & (best < high)

    def assign_wrt_overlaps(self, overlaps: Tensor, gt_labels: Tensor | None = None) -> AssignResult:
        """Assign by overlaps `(G, R)`; columns of -1 are ignored."""
        num_gts, num_boxes = overlaps.shape
        if num_gts == 0 or num_boxes == 0:
            return AssignResult.background(overlaps.new_empty(num_boxes), num_gts, gt_labels)
        best, best_gt = overlaps.max(dim=0)
        gt_inds = torch.where(self.is_background(best), 0, -1)
        gt_inds = torch.where(best >= self.pos_iou_thr, best_gt + 1, gt_inds)
        if self.match_low_quality:
            claims = best_boxes(overlaps[None], lambda peak: peak >= self.min_pos_iou, self.gt_max_assign_all)[0]
            gt_inds = torch.where(claims > 0, claims, gt_inds)
        return AssignResult.of(gt_inds, best, num_gts, gt_labels)
