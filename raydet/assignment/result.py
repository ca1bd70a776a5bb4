"""What assigners and samplers return."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from typing_extensions import Self


class AssignResult:
    """Which ground truth each box belongs to.

    Args:
        num_gts: how many ground truths there were.
        gt_inds: `(R,)` int64: -1 for ignored, 0 for background, otherwise the number of the ground truth from 1.
        max_overlaps: `(R,)` overlap with the best ground truth.
        labels: `(R,)` class of the assigned ground truth, -1 elsewhere; None when classes are unknown.
    """

    def __init__(
        self, num_gts: int, gt_inds: Tensor, max_overlaps: Tensor | None, labels: Tensor | None = None
    ) -> None:
        self.num_gts = num_gts
        self.gt_inds = gt_inds
        self.max_overlaps = max_overlaps
        self.labels = labels
        self._extra_properties: dict[str, Any] = {}

    @classmethod
    def of(cls, gt_inds: Tensor, max_overlaps: Tensor | None, num_gts: int, gt_labels: Tensor | None) -> Self:
        """The result whose labels are those of the assigned ground truths `(G,)`."""
        if gt_labels is None:
            return cls(num_gts, gt_inds, max_overlaps)
        # Place 0 stands for everything that has no ground truth.
        table = torch.cat([gt_labels.new_full((1,), -1), gt_labels])
        return cls(num_gts, gt_inds, max_overlaps, table[gt_inds.clamp(min=0)])

    @classmethod
    def background(cls, bboxes: Tensor, num_gts: int, gt_labels: Tensor | None) -> Self:
        """The result when there are no boxes `(R, ...)` or no ground truths: nothing belongs to any."""
        gt_inds = bboxes.new_zeros(len(bboxes), dtype=torch.long)
        return cls.of(gt_inds, bboxes.new_zeros(len(bboxes)), num_gts, gt_labels)

    @property
    def num_preds(self) -> int:
        """How many boxes there are."""
        return len(self.gt_inds)

    @property
    def info(self) -> dict[str, Any]:
        """All of it as a dict."""
        basics = {
            "num_gts": self.num_gts,
            "num_preds": self.num_preds,
            "gt_inds": self.gt_inds,
            "max_overlaps": self.max_overlaps,
            "labels": self.labels,
        }
        return {**basics, **self._extra_properties}

    def set_extra_property(self, key: str, value: Any) -> None:
        """Attach something of the assigner's own.

        Raises:
            ValueError: `key` is one of the standard properties.
        """
        if key in self.info and key not in self._extra_properties:
            raise ValueError(f"{key!r} is a standard property of assign results; choose another name")
        self._extra_properties[key] = value

    def get_extra_property(self, key: str) -> Any:
        """What was attached under `key`, or None."""
        return self._extra_properties.get(key)

    def add_gt_(self, gt_labels: Tensor) -> None:
        """Put the ground truths themselves, `(G,)` classes given, in front of the boxes."""
        numbers = torch.arange(1, len(gt_labels) + 1, dtype=torch.long, device=gt_labels.device)
        self.gt_inds = torch.cat([numbers, self.gt_inds])
        if self.max_overlaps is not None:
            self.max_overlaps = torch.cat([self.max_overlaps.new_ones(len(gt_labels)), self.max_overlaps])
        if self.labels is not None:
            self.labels = torch.cat([gt_labels, self.labels])

    def __repr__(self) -> str:
        return f"{type(self).__name__}(num_gts={self.num_gts}, num_preds={self.num_preds})"


class _Chosen:
    """What every sampling result holds, whatever was sampled; `truths` are the `G` ground truths."""

    def __init__(
        self, pos_inds: Tensor, neg_inds: Tensor, truths: Tensor, assign_result: AssignResult, gt_flags: Tensor
    ) -> None:
        self.pos_inds = pos_inds
        self.neg_inds = neg_inds
        self.pos_is_gt = gt_flags[pos_inds]
        self.num_gts = len(truths)
        self.pos_assigned_gt_inds = assign_result.gt_inds[pos_inds] - 1
        self.pos_gt_labels = None if assign_result.labels is None else assign_result.labels[pos_inds]

    def _matched(self, truths: Tensor) -> Tensor:
        """The ground truth of each positive."""
        return truths[self.pos_assigned_gt_inds] if len(truths) else torch.empty_like(truths)

    @property
    def info(self) -> dict[str, Any]:
        """All of it as a dict."""
        return dict(sorted(vars(self).items()))

    def to(self, device: str | torch.device) -> Self:
        """Move every tensor to `device`, in place."""
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                setattr(self, name, value.to(device))
        return self

    def __repr__(self) -> str:
        return f"{type(self).__name__}(num_pos={len(self.pos_inds)}, num_neg={len(self.neg_inds)})"


class SamplingResult(_Chosen):
    """Boxes chosen for training.

    Args:
        pos_inds: `(P,)` places of positives among the boxes.
        neg_inds: `(M,)` places of negatives.
        bboxes: `(R, 4)` all boxes.
        gt_bboxes: `(G, 4)`.
        assign_result: which ground truth each box belongs to.
        gt_flags: `(R,)` uint8: 1 where a box is a ground truth itself.

    Attributes:
        pos_bboxes: `(P, 4)`.
        neg_bboxes: `(M, 4)`.
        pos_is_gt: `(P,)` uint8.
        num_gts: how many ground truths there were.
        pos_assigned_gt_inds: `(P,)` ground truth of each positive, from 0.
        pos_gt_bboxes: `(P, 4)` boxes of those ground truths.
        pos_gt_labels: `(P,)` their classes, or None.
    """

    def __init__(
        self,
        pos_inds: Tensor,
        neg_inds: Tensor,
        bboxes: Tensor,
        gt_bboxes: Tensor,
        assign_result: AssignResult,
        gt_flags: Tensor,
    ) -> None:
        truths = gt_bboxes.reshape(-1, 4)
        super().__init__(pos_inds, neg_inds, truths, assign_result, gt_flags)
        self.pos_bboxes = bboxes[pos_inds]
        self.neg_bboxes = bboxes[neg_inds]
        self.pos_gt_bboxes = self._matched(truths)

    @property
    def bboxes(self) -> Tensor:
        """`(P + M, 4)` positives, then negatives."""
        return torch.cat([self.pos_bboxes, self.neg_bboxes])


class MaskSamplingResult(_Chosen):
    """Masks chosen for training.

    Args:
        pos_inds: `(P,)` places of positives among the masks.
        neg_inds: `(M,)` places of negatives.
        masks: `(R, H, W)` all masks.
        gt_masks: `(G, H, W)`.
        assign_result: which ground truth each mask belongs to.
        gt_flags: `(R,)` uint8: 1 where a mask is a ground truth itself.

    Attributes:
        pos_masks: `(P, H, W)`.
        neg_masks: `(M, H, W)`.
        pos_gt_masks: `(P, H, W)` ground truths of the positives.
    """

    def __init__(
        self,
        pos_inds: Tensor,
        neg_inds: Tensor,
        masks: Tensor,
        gt_masks: Tensor,
        assign_result: AssignResult,
        gt_flags: Tensor,
    ) -> None:
        super().__init__(pos_inds, neg_inds, gt_masks, assign_result, gt_flags)
        self.pos_masks = masks[pos_inds]
        self.neg_masks = masks[neg_inds]
        self.pos_gt_masks = self._matched(gt_masks)

    @property
    def masks(self) -> Tensor:
        """`(P + M, H, W)` positives, then negatives."""
        return torch.cat([self.pos_masks, self.neg_masks])
