"""Samplers: which boxes a head learns from."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from raydet.assignment.base import BaseSampler
from raydet.assignment.result import AssignResult, MaskSamplingResult, SamplingResult


class RandomSampler(BaseSampler):
    """Chooses evenly at random.

    Args:
        num: how many boxes.
        pos_fraction: how many of them are positive at most, as a fraction.
        neg_pos_ub: negatives per positive at most; negative means no limit.
        add_gt_as_proposals: let ground truths take part as boxes.
    """

    def __init__(
        self, num: int, pos_fraction: float, neg_pos_ub: float = -1, add_gt_as_proposals: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(num, pos_fraction, neg_pos_ub, add_gt_as_proposals)

    def random_choice(self, gallery: Tensor, num: int) -> Tensor:
        """`num` different elements, drawn by the CPU generator so that every device draws the same."""
        return gallery[torch.randperm(len(gallery))[:num].to(gallery.device)]

    def at_most(self, places: Tensor, num: int) -> Tensor:
        """All `places`, or `num` random ones when there are more."""
        return places if len(places) <= num else self.random_choice(places, num)

    def fill_up(self, chosen: Tensor, places: Tensor, num: int) -> Tensor:
        """Exactly `num` of `places`: random others beside too few `chosen`, or random ones of too many."""
        if len(chosen) > num:
            return self.random_choice(chosen, num)
        others = places[~torch.isin(places, chosen)]
        return torch.cat([chosen, self.at_most(others, num - len(chosen))])

    def _sample_pos(self, assign_result: AssignResult, num_expected: int, **kwargs: Any) -> Tensor:
        return self.at_most(positives(assign_result), num_expected)

    def _sample_neg(self, assign_result: AssignResult, num_expected: int, **kwargs: Any) -> Tensor:
        return self.at_most(negatives(assign_result), num_expected)


class PseudoSampler:
    """Takes every positive and every negative; for heads whose loss needs no sampling."""

    def __init__(self, **kwargs: Any) -> None:
        """Accept and ignore the arguments of other samplers."""

    def sample(
        self,
        assign_result: AssignResult,
        bboxes: Tensor,
        gt_bboxes: Tensor,
        gt_labels: Tensor | None = None,
        **kwargs: Any,
    ) -> SamplingResult:
        """Take all boxes `(R, 4)` that are not ignored."""
        flags = bboxes.new_zeros(len(bboxes), dtype=torch.uint8)
        pos_inds, neg_inds = positives(assign_result), negatives(assign_result)
        return SamplingResult(pos_inds, neg_inds, bboxes, gt_bboxes, assign_result, flags)


class MaskPseudoSampler:
    """`PseudoSampler` of masks."""

    def __init__(self, **kwargs: Any) -> None:
        """Accept and ignore the arguments of other samplers."""

    def sample(self, assign_result: AssignResult, masks: Tensor, gt_masks: Tensor, **kwargs: Any) -> MaskSamplingResult:
        """Take all masks `(R, H, W)` that are not ignored."""
        flags = masks.new_zeros(len(masks), dtype=torch.uint8)
        pos_inds, neg_inds = positives(assign_result), negatives(assign_result)
        return MaskSamplingResult(pos_inds, neg_inds, masks, gt_masks, assign_result, flags)


def positives(assign_result: AssignResult) -> Tensor:
    """Places of the boxes that belong to a ground truth."""
    return (assign_result.gt_inds > 0).nonzero().squeeze(1)


def negatives(assign_result: AssignResult) -> Tensor:
    """Places of the boxes that are background."""
    return (assign_result.gt_inds == 0).nonzero().squeeze(1)
