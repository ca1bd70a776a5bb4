"""Assignment by how well class and box are predicted together (TOOD, arXiv:2108.07755)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from raydet.assignment.atss import MARGIN
from raydet.assignment.base import BOX_OVERLAPS, BaseAssigner
from raydet.assignment.candidates import centers, depth, mark, resolve
from raydet.assignment.result import AssignResult
from raydet.registry import IOU_CALCULATORS


class TaskAlignedAssigner(BaseAssigner):
    """The best aligned predictions of each ground truth are positive where their anchors lie inside it.

    Args:
        topk: candidates of each ground truth.
        iou_calculator: how overlap is computed.

    Raises:
        ValueError: fewer than one candidate.
    """

    def __init__(self, topk: int, iou_calculator: Mapping[str, Any] | Any = BOX_OVERLAPS) -> None:
        if topk < 1:
            raise ValueError(f"topk must be at least 1, got {topk}")
        self.topk = topk
        self.iou_calculator = IOU_CALCULATORS.build(iou_calculator)

    def assign(
        self,
        pred_scores: Tensor,
        decode_bboxes: Tensor,
        anchors: Tensor,
        gt_bboxes: Tensor,
        gt_bboxes_ignore: Tensor | None = None,
        gt_labels: Tensor | None = None,
        alpha: float = 1,
        beta: float = 6,
    ) -> AssignResult:
        """Assign predictions to ground truths.

        Args:
            pred_scores: `(R, K)` probabilities.
            decode_bboxes: `(R, 4)` predicted boxes.
            anchors: `(R, 4+)`.
            gt_bboxes: `(G, 4)`.
            gt_bboxes_ignore: without effect, as in 2.x.
            gt_labels: `(G,)`.
            alpha: exponent of the score in the alignment.
            beta: exponent of the overlap.

        Returns:
            Also with the extra property `assign_metrics`, `(R,)` alignment of the positives, 0 elsewhere.
        """
        if len(anchors) == 0 or len(gt_bboxes) == 0:
            nothing = AssignResult.background(anchors, len(gt_bboxes), gt_labels)
            nothing.set_extra_property("assign_metrics", anchors.new_zeros(len(anchors)))
            return nothing
        overlaps = self.iou_calculator(decode_bboxes, gt_bboxes).detach()
        alignment = pred_scores[:, gt_labels].detach() ** alpha * overlaps**beta
        found, places = alignment.topk(min(self.topk, len(alignment)), dim=0)
        inside = depth(centers(anchors)[places], gt_bboxes) > MARGIN
        owner, overlap = resolve(mark(places, (found > 0) & inside, len(anchors)), overlaps)
        result = AssignResult.of(owner, overlap, len(gt_bboxes), gt_labels)
        metrics = alignment.gather(1, (owner - 1).clamp(min=0)[:, None]).squeeze(1)
        result.set_extra_property("assign_metrics", metrics * (owner > 0))
        return result
