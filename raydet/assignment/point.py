"""Assignment of points by scale and distance (RepPoints, arXiv:1904.11490)."""

from __future__ import annotations

import torch
from torch import Tensor

from raydet.assignment.base import BaseAssigner
from raydet.assignment.candidates import centers, mark, resolve
from raydet.assignment.result import AssignResult


class PointAssigner(BaseAssigner):
    """Each ground truth takes the points nearest to its center on the level of its size.

    Args:
        scale: a ground truth of this many strides belongs to the level.
        pos_num: how many points it takes.
    """

    def __init__(self, scale: int = 4, pos_num: int = 3) -> None:
        self.scale = scale
        self.pos_num = pos_num

    def assign(
        self,
        points: Tensor,
        gt_bboxes: Tensor,
        gt_bboxes_ignore: Tensor | None = None,
        gt_labels: Tensor | None = None,
    ) -> AssignResult:
        """Assign points to ground truths; one that several take goes to the nearest.

        Args:
            points: `(R, 3)` x, y, stride.
            gt_bboxes: `(G, 4)`.
            gt_bboxes_ignore: without effect, as in 2.x.
            gt_labels: `(G,)`.
        """
        if len(points) == 0 or len(gt_bboxes) == 0:
            nobody = torch.zeros(len(points), dtype=torch.long, device=points.device)
            return AssignResult.of(nobody, None, len(gt_bboxes), gt_labels)
        size = (gt_bboxes[:, 2:] - gt_bboxes[:, :2]).clamp(min=1e-6)
        level = points[:, 2].log2().int()
        wanted = (size / self.scale).log2().mean(dim=1).int().clamp(level.min(), level.max())
        # In units of the ground truth's size.
        distance = ((points[:, None, :2] - centers(gt_bboxes)) / size).norm(dim=2)
        distance = distance.masked_fill(level[:, None] != wanted, torch.inf)
        found, places = distance.topk(min(self.pos_num, len(points)), dim=0, largest=False)
        owner, _ = resolve(mark(places, found.isfinite(), len(points)), -distance, nothing=-torch.inf)
        return AssignResult.of(owner, None, len(gt_bboxes), gt_labels)
