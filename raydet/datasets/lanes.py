"""Fewer workers than a plan has ranks: each worker takes the batches of several of them, which are its lanes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from raydet.datasets.plan import Draw, IndexPlan


@dataclass(frozen=True)
class Lane:
    """A rank of the plan that a worker stands in for, and the weight of its loss in that of the worker."""

    rank: int
    weight: float


def lanes_of(worker: int, num_workers: int, num_ranks: int) -> list[Lane]:
    """The lanes of a worker, as many for each worker.

    The mean over workers of their weighted sums is the mean over all ranks. A worker that has fewer ranks than another
    repeats one without weight, so that all of them meet in the same collective operations.

    Raises:
        ValueError: there are more workers than ranks.
    """
    if num_workers > num_ranks:
        raise ValueError(f"a batch for {num_ranks} workers cannot be divided among {num_workers}")
    own = list(range(worker, num_ranks, num_workers))
    repeated = -(-num_ranks // num_workers) - len(own)
    weight = num_workers / num_ranks
    return [Lane(own[0], 0.0)] * repeated + [Lane(rank, weight) for rank in own]


@dataclass(frozen=True, eq=False)
class LanePlan:
    """The plan of a worker: in each step the batches of its lanes, one after the other.

    Attributes:
        plan: of all ranks.
        world_size: number of workers.
    """

    plan: IndexPlan
    world_size: int

    @property
    def samples_per_batch(self) -> int:
        return self.plan.samples_per_batch

    @property
    def order(self) -> str:
        return self.plan.order

    def num_batches(self, rank: int = 0) -> int:
        """Batches of a worker in an epoch, those of all its lanes."""
        return self.plan.num_batches(0) * len(self._lanes(rank))

    def draws(self, epoch: int, rank: int, batch: int) -> list[Draw]:
        """The samples of one batch with their seeds."""
        lanes = self._lanes(rank)
        step, turn = divmod(batch, len(lanes))
        return self.plan.draws(epoch, lanes[turn].rank, step)

    def _lanes(self, rank: int) -> list[Lane]:
        return lanes_of(rank, self.world_size, self.plan.world_size)


class LaneBatch(dict[str, Any]):
    """The batch of a worker's last lane, with those of the `others` before it."""

    def __init__(self, batches: list[dict[str, Any]]) -> None:
        super().__init__(batches[-1])
        self.others = batches[:-1]


class LaneCarrier:
    """Brings the batches of all lanes of a worker at once.

    Args:
        carrier: brings them one after the other.
        num_lanes: of the worker.
    """

    def __init__(self, carrier: Any, num_lanes: int) -> None:
        self.dataset = carrier.dataset
        self.counter = getattr(carrier, "counter", None)
        self._carrier = carrier
        self._num_lanes = num_lanes

    def __len__(self) -> int:
        return len(self._carrier) // self._num_lanes

    def iterate(self, epoch: int, start: int = 0) -> Iterator[LaneBatch]:
        """As `Carrier.iterate`, in steps."""
        batches = self._carrier.iterate(epoch, start * self._num_lanes)
        while step := list(islice(batches, self._num_lanes)):
            yield LaneBatch(step)

    def close(self) -> None:
        self._carrier.close()
