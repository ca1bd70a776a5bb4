"""`MaxIoUAssigner` for locations that stand for several boxes (arXiv:1901.03278)."""

from __future__ import annotations

from torch import Tensor

from raydet.assignment.max_iou import MaxIoUAssigner
from raydet.assignment.result import AssignResult


class ApproxMaxIoUAssigner(MaxIoUAssigner):
    """Each square overlaps a ground truth as much as the best of its approximations; arguments of `MaxIoUAssigner`."""

    def assign(  # type: ignore[override]
        self,
        approxs: Tensor,
        squares: Tensor,
        approxs_per_octave: int,
        gt_bboxes: Tensor,
        gt_bboxes_ignore: Tensor | None = None,
        gt_labels: Tensor | None = None,
    ) -> AssignResult:
        """Assign squares to ground truths.

        Args:
            approxs: `(R * A, 4)` boxes, those of one square in a row.
            squares: `(R, 4)` what is assigned, and what ignored regions may cover.
            approxs_per_octave: `A`.
            gt_bboxes: `(G, 4)`.
            gt_bboxes_ignore: `(I, 4)` regions where nothing is right or wrong.
            gt_labels: `(G,)`.
        """
        overlaps = self.measure(gt_bboxes, approxs)
        best = overlaps.view(len(gt_bboxes), len(squares), approxs_per_octave).amax(dim=2)
        return self.decide(best, squares, gt_bboxes_ignore, gt_labels)
