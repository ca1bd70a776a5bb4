"""Carriers bring the batches of a plan, in plan order, to the training loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch.utils.data import DataLoader, Sampler

from raydet.datasets.bad_samples import BadSampleCounter, BadSamplePolicy
from raydet.datasets.multi_image import skipped_types
from raydet.datasets.plan import Draw, Plan
from raydet.datasets.reader import BatchReader
from raydet.datasets.slabs import FilledSlab, SlabPost, SlabWriter


@runtime_checkable
class Carrier(Protocol):
    """Where a training loop gets its batches from.

    One that replaces bad samples has a `counter` of them, a `BadSampleCounter`.
    """

    dataset: Any

    def __len__(self) -> int:
        """Batches per epoch."""
        ...

    def iterate(self, epoch: int, start: int = 0) -> Iterator[dict[str, Any]]:
        """Collated batches of this rank on the CPU, from batch `start` on; nothing before it is read."""
        ...

    def close(self) -> None:
        """Stop the processes behind it."""
        ...


class PlanCursor(Sampler[list[Draw]]):
    """The batches of one rank from a position on; the position is set before each epoch."""

    def __init__(self, plan: Plan, rank: int) -> None:
        self.plan = plan
        self.rank = rank
        self.epoch, self.start = 0, 0

    def __iter__(self) -> Iterator[list[Draw]]:
        for batch in range(self.start, len(self)):
            yield self.plan.draws(self.epoch, self.rank, batch)

    def __len__(self) -> int:
        return self.plan.num_batches(self.rank)


class LoaderCarrier:
    """Batches through a torch `DataLoader` on this machine.

    Args:
        dataset: the data set.
        plan: which samples stand where.
        rank: this process's place in the plan.
        num_workers: processes that read and transform; 0 does so in this one.
        bad_samples: what to do with samples that cannot be read.
        on_bad_samples: called with their records.
        defer_normalization: send images as uint8 where the pipeline allows it, see `raydet.datasets.device`.
        prefetch: batches that each worker prepares ahead.
        persistent: keep workers between epochs.
    """

    def __init__(
        self,
        dataset: Any,
        plan: Plan,
        rank: int = 0,
        *,
        num_workers: int = 2,
        bad_samples: BadSamplePolicy | None = None,
        on_bad_samples: Callable[[Sequence[Mapping[str, Any]]], None] | None = None,
        defer_normalization: bool = True,
        prefetch: int = 2,
        persistent: bool = True,
    ) -> None:
        self.dataset = dataset
        self.plan = plan
        self._cursor = PlanCursor(plan, rank)
        self._bad_samples = bad_samples
        self.counter = BadSampleCounter(bad_samples or BadSamplePolicy(), on_bad_samples, plan.world_size == 1)
        self._defer_normalization = defer_normalization
        self._num_workers, self._prefetch, self._persistent = num_workers, prefetch, persistent
        self._open()

    def _open(self) -> None:
        """Make the loader; its workers hold the data set as it is now."""
        self._skipped = skipped_types(self.dataset)
        self.reader = BatchReader(self.dataset, self._bad_samples, self._defer_normalization)
        self._post = SlabPost()
        workers = self._num_workers
        send: Callable[[Any], Any] = _unchanged
        if workers:
            send = SlabWriter(self._post, self._prefetch + 2)
            self.reader.empty = send.empty
        self._loader: DataLoader[Any] | None = DataLoader(
            self.reader,  # type: ignore[arg-type]
            sampler=self._cursor,
            batch_size=None,
            collate_fn=send,
            num_workers=workers,
            persistent_workers=self._persistent and workers > 0,
            prefetch_factor=self._prefetch if workers else None,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=_one_thread,
            generator=torch.Generator(),  # else every epoch would draw a number from the random state of training
        )

    def __len__(self) -> int:
        return len(self._cursor)

    def iterate(self, epoch: int, start: int = 0) -> Iterator[dict[str, Any]]:
        if self._loader is None:
            raise RuntimeError("this carrier has been closed")
        if skipped_types(self.dataset) != self._skipped:
            self._open()
        self._cursor.epoch, self._cursor.start = epoch, start
        for batch in self._loader:
            yield self.counter.check(batch.open() if isinstance(batch, FilledSlab) else batch)

    def close(self) -> None:
        self._loader = None


def _unchanged(batch: Any) -> Any:
    return batch


def _one_thread(worker: int) -> None:
    """Workers are the parallelism; threads inside them would only get in each other's way."""
    import cv2

    torch.set_num_threads(1)
    cv2.setNumThreads(0)
