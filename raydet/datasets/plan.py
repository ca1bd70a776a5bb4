"""The plan of a run: which samples stand in which batch of which epoch on which rank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import numpy as np

from raydet.datasets import order, resharding
from raydet.datasets.seeding import sample_seed

ORDERS = ("grouped", "shuffled", "sequential", "class_aware", "endless")
ENDLESS_EPOCHS = 64
"""Epochs after which an endless order is shuffled from a new seed, so that every position can be reached at once."""


class Draw(NamedTuple):
    """One sample to be made: its index in the data set and the seed of its random draws."""

    sample: int
    seed: int


class Plan(Protocol):
    """What a carrier needs of a plan."""

    @property
    def world_size(self) -> int: ...

    @property
    def samples_per_batch(self) -> int: ...

    @property
    def order(self) -> str: ...

    def num_batches(self, rank: int = 0) -> int:
        """Batches of a rank in an epoch, the same in every epoch."""

    def draws(self, epoch: int, rank: int, batch: int) -> list[Draw]:
        """The samples of one batch with their seeds."""


@dataclass(frozen=True, eq=False)
class IndexPlan:
    """A pure function from (epoch, rank) to batches; a position in a run is the pair (epoch, batch).

    In training, samples are filled up so that every rank has equally many full batches. The "sequential" order is for
    tests: rank r takes every world_size-th sample, nothing is repeated or left out, and the last batch may be short.
    The "endless" order is for training that counts iterations: groups as in "grouped", but no sample comes again before
    all others have come, and an epoch is only the stretch of batches that is as long as the data set. It begins anew
    every `ENDLESS_EPOCHS`; up to there it is the stream of 2.x.

    Attributes:
        flag: `(len(dataset),)` group of each sample; a batch of the "grouped" order has samples of one group.
        samples_per_batch: on one rank.
        world_size: number of ranks.
        seed: the same on all ranks.
        order: one of `ORDERS`.
        images_of: for "class_aware": positions of the samples of each class.
        samples_per_class: for "class_aware".
        cuts: how far plans of other world sizes had come in the epoch `cut_epoch` before this one took over.
        cut_epoch: see there.
    """

    flag: np.ndarray
    samples_per_batch: int
    world_size: int = 1
    seed: int = 0
    order: str = "grouped"
    images_of: Mapping[int, Sequence[int]] | None = None
    samples_per_class: int = 1
    cuts: tuple[resharding.Cut, ...] = ()
    cut_epoch: int = 0

    def __post_init__(self) -> None:
        if self.cuts and self.order not in resharding.ORDERS:
            raise ValueError(f"an epoch in {self.order!r} order cannot be divided anew among other ranks")
        if self.order not in ORDERS:
            raise ValueError(f"order must be one of {ORDERS}, got {self.order!r}")
        if self.samples_per_batch < 1 or self.world_size < 1:
            raise ValueError(
                f"samples_per_batch and world_size must be 1 at least, got {self.samples_per_batch}, {self.world_size}"
            )
        if not len(self.flag) and self.order != "sequential":
            raise ValueError("there are no samples to train with; see the warnings of the data set")

    @classmethod
    def of(cls, dataset: Any, samples_per_batch: int, **options: Any) -> IndexPlan:
        """The plan of a data set; `options` are the other fields."""
        if options.get("order") == "class_aware":
            options.setdefault("images_of", dataset.get_cat2imgs())
        return cls(order.flags_of(dataset), samples_per_batch, **options)

    def indices(self, epoch: int, rank: int) -> np.ndarray:
        """`(S,)` all samples of a rank in their order."""
        if not 0 <= rank < self.world_size:
            raise ValueError(f"rank must lie in [0, {self.world_size}), got {rank}")
        return self.parts(epoch)[rank]

    def batches(self, epoch: int, rank: int) -> list[list[int]]:
        """The batches of a rank, as lists of indices."""
        indices, step = self.indices(epoch, rank).tolist(), self.samples_per_batch
        return [indices[i : i + step] for i in range(0, len(indices), step)]

    def num_batches(self, rank: int = 0) -> int:
        """Batches of a rank in an epoch, the same in every epoch."""
        return -(-len(self.indices(0, rank)) // self.samples_per_batch)

    def draws(self, epoch: int, rank: int, batch: int) -> list[Draw]:
        """The samples of one batch with their seeds, which depend on (seed, epoch, place in the plan) alone."""
        start = batch * self.samples_per_batch
        indices = self.indices(epoch, rank)[start : start + self.samples_per_batch].tolist()
        place = (batch * self.world_size + rank) * self.samples_per_batch
        return [Draw(index, sample_seed(self.seed, epoch, place + i)) for i, index in enumerate(indices)]

    def parts(self, epoch: int) -> tuple[np.ndarray, ...]:
        """All samples of every rank."""
        return _global_order(self, epoch)

    def _ranks(self, epoch: int) -> tuple[np.ndarray, ...]:
        if self.cuts and epoch == self.cut_epoch:
            return resharding.resharded(self)
        generator = order.generator_of(epoch + self.seed)
        step, world = self.samples_per_batch, self.world_size
        count = len(self.flag)
        if self.order == "sequential":
            return tuple(np.arange(rank, count, world) for rank in range(world))
        if self.order == "endless":
            length = -(-count // (step * world))
            turn, begin = divmod(epoch, ENDLESS_EPOCHS)
            stretch = slice(begin * length, (begin + 1) * length)
            places = [(rank, world) for rank in range(world)]
            return tuple(order.endless_order(self.flag, step, place, stretch, self.seed + turn) for place in places)
        if self.order == "grouped":
            indices = order.grouped_order(self.flag, step, world, generator)
        elif self.order == "class_aware":
            total = -(-count // (step * world)) * step * world
            indices = order.class_aware_order(self.images_of or {}, total, self.samples_per_class, generator)
        else:
            indices = np.resize(order.permutation(count, generator), -(-count // (step * world)) * step * world)
            return tuple(indices[rank::world] for rank in range(world))
        return tuple(np.split(indices, world))


@lru_cache(maxsize=8)
def _global_order(plan: IndexPlan, epoch: int) -> tuple[np.ndarray, ...]:
    return plan._ranks(epoch)
