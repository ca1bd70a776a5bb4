"""What assigners and samplers do; plug-ins derive from these."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from raydet.assignment.result import AssignResult, SamplingResult

BOX_OVERLAPS: Mapping[str, Any] = {"type": "BboxOverlaps2D"}
"""How assigners measure overlaps unless told otherwise."""


class BaseAssigner(ABC):
    """Decides which ground truth each box belongs to."""

    @abstractmethod
    def assign(self, *args: Any, **kwargs: Any) -> AssignResult:
        """Assign boxes `(R, 4)` to ground truths `(G, 4)`.

        Most assigners take `(bboxes, gt_bboxes, gt_bboxes_ignore=None, gt_labels=None)`; those that look at
        predictions or at levels take more.
        """


class BaseSampler(ABC):
    """Chooses positives and negatives for training.

    Args:
        num: how many boxes.
        pos_fraction: how many of them are positive at most, as a fraction.
        neg_pos_ub: negatives per positive at most; negative means no limit.
        add_gt_as_proposals: let ground truths take part as boxes.
    """

    def __init__(
        self, num: int, pos_fraction: float, neg_pos_ub: float = -1, add_gt_as_proposals: bool = True, **kwargs: Any
    ) -> None:
        self.num = num
        self.pos_fraction = pos_fraction
        self.neg_pos_ub = neg_pos_ub
        self.add_gt_as_proposals = add_gt_as_proposals
        self.pos_sampler: BaseSampler = self
        self.neg_sampler: BaseSampler = self

    @abstractmethod
    def _sample_pos(self, assign_result: AssignResult, num_expected: int, **kwargs: Any) -> Tensor:
        """Places of at most `num_expected` positives."""

    @abstractmethod
    def _sample_neg(self, assign_result: AssignResult, num_expected: int, **kwargs: Any) -> Tensor:
        """Places of at most `num_expected` negatives."""

    def sample(
        self,
        assign_result: AssignResult,
        bboxes: Tensor,
        gt_bboxes: Tensor,
        gt_labels: Tensor | None = None,
        **kwargs: Any,
    ) -> SamplingResult:
        """Choose boxes.

        Args:
            assign_result: of `bboxes`; ground truths are put in front of it when they take part.
            bboxes: `(R, 4+)`.
            gt_bboxes: `(G, 4)`.
            gt_labels: `(G,)`.
            kwargs: handed on to the subclass, for instance the features of the image.

        Raises:
            ValueError: ground truths take part but their classes are missing.
        """
        boxes, flags = self._join_truths(assign_result, bboxes, gt_bboxes, gt_labels)
        wanted = int(self.num * self.pos_fraction)
        # Sorted, so that the order of boxes does not depend on the draw.
        pos_inds = torch.unique(self.pos_sampler._sample_pos(assign_result, wanted, bboxes=boxes, **kwargs))
        wanted = self._num_negatives(len(pos_inds))
        neg_inds = torch.unique(self.neg_sampler._sample_neg(assign_result, wanted, bboxes=boxes, **kwargs))
        return SamplingResult(pos_inds, neg_inds, boxes, gt_bboxes, assign_result, flags)

    def _join_truths(
        self, assign_result: AssignResult, bboxes: Tensor, gt_bboxes: Tensor, gt_labels: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Boxes `(R, 4)` that can be chosen, and `(R,)` uint8, 1 for ground truths; they join `assign_result` too."""
        boxes = bboxes.reshape(-1, bboxes.shape[-1])[:, :4]
        flags = boxes.new_zeros(len(boxes), dtype=torch.uint8)
        if not self.add_gt_as_proposals or len(gt_bboxes) == 0:
            return boxes, flags
        if gt_labels is None:
            raise ValueError("add_gt_as_proposals=True needs gt_labels; pass them or set it to False")
        assign_result.add_gt_(gt_labels)
        return torch.cat([gt_bboxes, boxes]), torch.cat([flags.new_ones(len(gt_bboxes)), flags])

    def _num_negatives(self, num_pos: int) -> int:
        """How many negatives go with so many positives."""
        wanted = self.num - num_pos
        return wanted if self.neg_pos_ub < 0 else min(wanted, int(self.neg_pos_ub * max(1, num_pos)))
