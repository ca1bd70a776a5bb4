"""The rest of an epoch that began with another number of ranks: no sample comes again, and none is left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from raydet.datasets import order

if TYPE_CHECKING:
    from raydet.datasets.plan import IndexPlan

ORDERS = ("grouped", "shuffled", "class_aware")
"""Orders whose epochs can be divided anew."""


class Cut(NamedTuple):
    """A plan of `world_size` ranks, left behind at batch `batch` of an epoch."""

    world_size: int
    batch: int


def first_batch(plan: IndexPlan) -> int:
    """The batch at which the plan takes over in the epoch that was cut."""
    return _length(plan) - len(_arranged(plan, _rest(plan)[1])[0]) // plan.samples_per_batch


def resharded(plan: IndexPlan) -> tuple[np.ndarray, ...]:
    """The samples of each rank in the epoch that was cut; those before `first_batch` have been seen.

    The epoch keeps its length, so that the position in it means the same as in any other.
    """
    seen, left = _rest(plan)
    parts = _arranged(plan, left)
    num_before = _length(plan) * plan.samples_per_batch - len(parts[0])
    return tuple(np.concatenate([np.resize(seen, num_before), part]) for part in parts)


def _length(plan: IndexPlan) -> int:
    return replace(plan, cuts=()).num_batches()


def _rest(plan: IndexPlan) -> tuple[np.ndarray, np.ndarray]:
    """What was seen before the last cut, and what is left in the order in which it would have come."""
    *earlier, last = plan.cuts
    before = replace(plan, world_size=last.world_size, cuts=tuple(earlier))
    batches = [part.reshape(-1, plan.samples_per_batch) for part in before.parts(plan.cut_epoch)]
    # What stands before the first batch of a plan that was itself cut has no meaning.
    first, seen = (first_batch(before), _rest(before)[0]) if earlier else (0, np.empty(0, np.int64))
    seen = np.concatenate([seen, *(each[first : last.batch].reshape(-1) for each in batches)])
    left = np.stack([each[last.batch :] for each in batches], axis=1).reshape(-1)
    if plan.order == "class_aware":  # draws the same image several times an epoch
        return seen, left
    left = left[~np.isin(left, seen)]
    return seen, left[np.sort(np.unique(left, return_index=True)[1])]


def _arranged(plan: IndexPlan, left: np.ndarray) -> Sequence[np.ndarray]:
    """`left` in full batches for all ranks of the plan, filled up with its own first samples."""
    step, world = plan.samples_per_batch, plan.world_size
    if plan.order == "grouped":
        generator = order.generator_of(plan.cut_epoch + plan.seed)
        batches = left[order.grouped_order(plan.flag[left], step, 1, generator)].reshape(-1, step)
        return np.split(np.resize(batches, (-(-len(batches) // world) * world, step)).reshape(-1), world)
    left = left[: _length(plan) * step * world]
    filled = np.resize(left, -(-len(left) // (step * world)) * step * world)
    return [filled[rank::world] for rank in range(world)] if plan.order == "shuffled" else np.split(filled, world)
