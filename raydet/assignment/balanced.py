"""Samplers that balance: over ground truths, over how much negatives overlap, and one sampler per kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from raydet.assignment.base import BaseSampler
from raydet.assignment.result import AssignResult
from raydet.assignment.samplers import RandomSampler, negatives, positives
from raydet.registry import SAMPLERS


class InstanceBalancedPosSampler(RandomSampler):
    """Chooses about equally many positives of each ground truth (Libra R-CNN, arXiv:1904.02701)."""

    def _sample_pos(self, assign_result: AssignResult, num_expected: int, **kwargs: Any) -> Tensor:
        places = positives(assign_result)
        if len(places) <= num_expected:
            return places
        owner = assign_result.gt_inds[places]
        owners = torch.unique(owner).tolist()
        share = round(num_expected / len(owners)) + 1
        chosen = torch.cat([self.at_most(places[owner == one], share) for one in owners])
        return self.fill_up(chosen, places, num_expected)


class IoUBalancedNegSampler(RandomSampler):
    """Chooses negatives evenly over how much they overlap a ground truth (Libra R-CNN, arXiv:1904.02701).

    Args:
        num: how many boxes.
        pos_fraction: how many of them are positive at most, as a fraction.
        floor_thr: negatives below this overlap are chosen apart, evenly at random; -1 for none.
        floor_fraction: how many of the negatives come from below the floor, as a fraction.
        num_bins: of the overlap above the floor.

    Raises:
        ValueError: an argument out of range.
    """

    def __init__(
        self,
        num: int,
        pos_fraction: float,
        floor_thr: float = -1,
        floor_fraction: float = 0,
        num_bins: int = 3,
        **kwargs: Any,
    ) -> None:
        super().__init__(num, pos_fraction, **kwargs)
        if floor_thr < 0 and floor_thr != -1:
            raise ValueError(f"floor_thr must be -1 or not negative, got {floor_thr}")
        if not 0 <= floor_fraction <= 1:
            raise ValueError(f"floor_fraction must lie in [0, 1], got {floor_fraction}")
        if num_bins < 1:
            raise ValueError(f"num_bins must be at least 1, got {num_bins}")
        self.floor_thr = floor_thr
        self.floor_fraction = floor_fraction
        self.num_bins = num_bins

    def _sample_neg(self, assign_result: AssignResult, num_expected: int, **kwargs: Any) -> Tensor:
        places = negatives(assign_result)
        if len(places) <= num_expected:
            return places
        assert assign_result.max_overlaps is not None
        overlaps = assign_result.max_overlaps[places]
        below = (overlaps >= 0) & (overlaps < self.floor_thr) if self.floor_thr > 0 else overlaps == self.floor_thr
        above = self._over_bins(places[~below], overlaps[~below], int(num_expected * (1 - self.floor_fraction)))
        floor = self.at_most(places[below], num_expected - len(above))
        return self.fill_up(torch.cat([above, floor]), places, num_expected)

    def _over_bins(self, places: Tensor, overlaps: Tensor, num: int) -> Tensor:
        """`num` places, as evenly over the bins as there are any."""
        if len(places) <= num:
            return places
        if self.num_bins == 1:
            return self.random_choice(places, num)
        start = max(self.floor_thr, 0)
        width = (overlaps.max() - start) / self.num_bins
        edges = start + width * torch.arange(1, self.num_bins + 1, device=overlaps.device)
        # The last bin is open at its end: what lies on it only fills up.
        bins = torch.bucketize(overlaps.contiguous(), edges, right=True)
        share = num // self.num_bins
        chosen = torch.cat([self.at_most(places[bins == i], share) for i in range(self.num_bins)])
        return self.fill_up(chosen, places, num)


class CombinedSampler(BaseSampler):
    """One sampler for positives, another for negatives.

    Args:
        pos_sampler: chooses the positives; takes the other arguments as its own where it does not give them.
        neg_sampler: chooses the negatives, in the same way.
        kwargs: see `BaseSampler`.
    """

    def __init__(
        self, pos_sampler: Mapping[str, Any] | BaseSampler, neg_sampler: Mapping[str, Any] | BaseSampler, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.pos_sampler = SAMPLERS.build(pos_sampler, default_args=kwargs)
        self.neg_sampler = SAMPLERS.build(neg_sampler, default_args=kwargs)

    def _sample_pos(self, assign_result: AssignResult, num_expected: int, **kwargs: Any) -> Tensor:
        return self.pos_sampler._sample_pos(assign_result, num_expected, **kwargs)

    def _sample_neg(self, assign_result: AssignResult, num_expected: int, **kwargs: Any) -> Tensor:
        return self.neg_sampler._sample_neg(assign_result, num_expected, **kwargs)
