"""Batches of a plan through Ray Data: actors that hold the data set read, transform and collate."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import ray

from raydet.datasets import BadSampleCounter, BadSamplePolicy, BatchReader, Draw, IndexPlan, pack, unpack
from raydet.distributed.rows import ActorPool, Columns, Row, RowStream

_POSITION = "position"
Records = Sequence[Mapping[str, Any]]


class StreamCarrier:
    """The `Carrier` that reads with Ray Data; gives the same batches as `LoaderCarrier`.

    Each training worker has a stream of its own, since only so batches keep the order of the plan. The data set goes
    into the object store once; all actors on a node read its annotation table there. A shuffled plan is streamed across
    epochs, so that actors start once and the first batches of an epoch are ready when it begins; a sequential plan,
    which evaluations use, is streamed epoch by epoch, and its actors end with it.

    Args:
        dataset: the data set.
        plan: which samples stand where.
        rank: this worker's place in the plan.
        pool: the actors.
        bad_samples: what to do with samples that cannot be read.
        on_bad_samples: called with their records.
        defer_normalization: send images as uint8 where the pipeline allows it.
        epochs: end of the run, None when it is not known.
    """

    def __init__(
        self,
        dataset: Any,
        plan: IndexPlan,
        rank: int = 0,
        *,
        pool: ActorPool | None = None,
        bad_samples: BadSamplePolicy | None = None,
        on_bad_samples: Callable[[Records], None] | None = None,
        defer_normalization: bool = True,
        epochs: int | None = None,
    ) -> None:
        self.dataset = dataset
        self.plan = plan
        self._rank = rank
        self._pool = pool or ActorPool()
        self._counter = BadSampleCounter(bad_samples or BadSamplePolicy(), on_bad_samples)
        self._reader = ray.put(BatchReader(dataset, bad_samples, defer_normalization))
        self._epochs = epochs
        self._stream: RowStream | None = None
        self._columns: Iterator[Columns] = iter(())
        self._next: tuple[int, int] | None = None  # what the stream gives next

    def __len__(self) -> int:
        return self.plan.num_batches(self._rank)

    def iterate(self, epoch: int, start: int = 0) -> Iterator[dict[str, Any]]:
        """Collated batches of this rank on the CPU, from batch `start` on.

        Raises:
            RuntimeError: the stream gave other batches than the plan, or not all of them.
        """
        self.open(epoch, start)
        for batch in range(start, len(self)):
            columns = next(self._columns, None)
            position = None if columns is None else tuple(columns.pop(_POSITION).tolist())
            if columns is None or position != (epoch, batch):
                raise RuntimeError(f"the data stream gave {position} in the place of batch {batch} of epoch {epoch}")
            self._next = (epoch, batch + 1) if batch + 1 < len(self) else (epoch + 1, 0)
            yield self._counter.check(unpack(columns))

    def open(self, epoch: int, start: int = 0) -> None:
        """Begin to read at a position, unless the stream stands there already."""
        if self._next == (epoch, start):
            return
        self.close()
        self._stream = RowStream(_Reader, (self._reader,), self._rows(epoch, start), self._pool)
        self._columns = iter(self._stream)
        self._next = (epoch, start)

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._stream, self._next = None, None

    def _rows(self, epoch: int, start: int) -> Iterator[Row]:
        """Rows from a position on, to the end of the run or, for a sequential plan, of the epoch."""
        last = epoch + 1 if self.plan.order == "sequential" else self._epochs
        for each in itertools.count(epoch) if last is None else range(epoch, max(last, epoch + 1)):
            for batch in range(start if each == epoch else 0, len(self)):
                draws = np.array(self.plan.draws(each, self._rank, batch), np.uint64)
                yield {"epoch": each, "batch": batch, "draws": draws}


class _Reader:
    """The worker in a data actor."""

    def __init__(self, reader: Any) -> None:
        import cv2
        import torch

        torch.set_num_threads(1)  # actors are the parallelism
        cv2.setNumThreads(0)
        self._reader: BatchReader = ray.get(reader)

    def __call__(self, row: Row) -> Columns:
        draws = [Draw(int(index), int(seed)) for index, seed in np.asarray(row["draws"])]
        return {_POSITION: np.array([row["epoch"], row["batch"]]), **pack(self._reader(draws))}
