"""Batches of a plan through Ray Data: actors that hold the data set read, transform and collate."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import ray

from raydet.datasets import (
    BadSampleCounter,
    BadSamplePolicy,
    BatchReader,
    Container,
    Draw,
    Plan,
    unload,
)
from raydet.datasets.multi_image import skipped_types
from raydet.distributed.blocks import Columns, Row
from raydet.distributed.rows import ActorPool, RowStream
from raydet.distributed.sharing import ArrayStore, unpack

ROWS_AHEAD = 8
"""Rows of each actor that may be finished and wait: enough to work on without pause, and not all that memory holds,
which small images would have actors read for minutes beside a trainer that takes their processor."""

LEAST_BYTES = 2**26
"""In flight, however small images are: Ray Data does not know the size of a row before it has one."""

Records = Sequence[Mapping[str, Any]]
Position = tuple[int, int]
"""Epoch and batch."""

SAMPLES_PER_ROW = 64
"""At most. Ray Data takes some ten milliseconds of processor time for a row, as much as two images, and a few rounds of
its scheduler, so a row holds several batches."""

LEAST_ROWS = 4
"""Rows of each actor that fit in flight: where its bytes are too few for that, rows are shorter, so that all work."""

USUAL_BYTES = 3 * 1333 * 800
"""Of a sample, where none has been read yet; pixels that travel as float32 are four times as large."""


class StreamCarrier:
    """The `Carrier` that reads with Ray Data; gives the same batches as `LoaderCarrier`.

    Each training worker has a stream of its own, since only so batches keep the order of the plan. The annotations of
    the data set go into the object store once, where its actors and the worker itself read them. A shuffled plan is
    streamed across epochs, so that actors start once and the first batches of an epoch are ready when it begins; a
    sequential plan, which evaluations use, is streamed epoch by epoch, and its actors end with it. The rows of a stream
    are short runs of batches, the first ones of a single batch, to have it soon. Actors take seconds to start; what
    this process has read by then is dropped from the stream.

    Args:
        dataset: the data set.
        plan: which samples stand where.
        rank: this worker's place in the plan.
        pool: the actors.
        bad_samples: what to do with samples that cannot be read.
        on_bad_samples: called with their records.
        defer_normalization: send images as uint8 where the pipeline allows it.
        epochs: end of the run, None when it is not known.
        read_meanwhile: this process reads the first batches, as long as the actors are starting.
    """

    def __init__(
        self,
        dataset: Any,
        plan: Plan,
        rank: int = 0,
        *,
        pool: ActorPool | None = None,
        bad_samples: BadSamplePolicy | None = None,
        on_bad_samples: Callable[[Records], None] | None = None,
        defer_normalization: bool = True,
        epochs: int | None = None,
        read_meanwhile: bool = False,
    ) -> None:
        self.dataset = dataset
        self.plan = plan
        self._rank = rank
        self._pool = pool or ActorPool()
        self.counter = BadSampleCounter(bad_samples or BadSamplePolicy(), on_bad_samples, plan.world_size == 1)
        self._bad_samples = bad_samples
        self._defer_normalization = defer_normalization
        self._epochs = epochs
        self._arrays = ArrayStore()
        self._stream: RowStream | None = None
        self._batches: Iterator[tuple[Position, dict[str, Any]]] = iter(())
        self._next: Position | None = None  # what the stream gives next
        self._skipped: tuple[Any, ...] = ()
        self._read_meanwhile = read_meanwhile
        self._meanwhile: BatchReader | None = None
        self._bytes_per_sample = 0  # of the batch read last; 0 before
        self.num_read_meanwhile = 0

    def __len__(self) -> int:
        return self.plan.num_batches(self._rank)

    def iterate(self, epoch: int, start: int = 0) -> Iterator[dict[str, Any]]:
        """Collated batches of this rank on the CPU, from batch `start` on.

        Raises:
            RuntimeError: the stream gave other batches than the plan, or not all of them.
        """
        if self._read_meanwhile and start < len(self) and not self._stands_at(epoch, start):
            # Before there is a stream: its start would take half of the processor from the first batch.
            yield self.counter.check(self._read_here(self._new_reader(), (epoch, start)))
            start += 1
        if start < len(self):
            self.open(epoch, start)
        for number in range(start, len(self)):
            batch = self._read((epoch, number))
            self._next = (epoch, number + 1) if number + 1 < len(self) else (epoch + 1, 0)
            yield self.counter.check(batch)

    def _new_reader(self) -> BatchReader:
        return BatchReader(self.dataset, self._bad_samples, self._defer_normalization)

    def _read_here(self, reader: BatchReader, position: Position) -> dict[str, Any]:
        self.num_read_meanwhile += 1
        batch = reader(self.plan.draws(position[0], self._rank, position[1]))
        self._bytes_per_sample = _num_bytes(batch) // self.plan.samples_per_batch
        return batch

    def _row_length(self, reader: BatchReader) -> int:
        """Batches."""
        sample = self._bytes_per_sample or USUAL_BYTES * (1 if reader.norm_spec else 4)
        samples = min(SAMPLES_PER_ROW, self._pool.bytes_in_flight // (LEAST_ROWS * self._pool.size * sample))
        return max(1, samples // self.plan.samples_per_batch)

    def _fitting_pool(self, samples_per_row: int) -> ActorPool:
        """The pool with as many bytes in flight as its actors need for images of the size that was read last."""
        if not self._bytes_per_sample:
            return self._pool
        needed = ROWS_AHEAD * self._pool.size * samples_per_row * self._bytes_per_sample
        return replace(self._pool, bytes_in_flight=min(max(needed, LEAST_BYTES), self._pool.bytes_in_flight))

    def _stands_at(self, epoch: int, start: int) -> bool:
        """Whether the stream gives this batch next, from the data set as it is now."""
        return self._next == (epoch, start) and skipped_types(self.dataset) == self._skipped

    def _read(self, position: Position) -> dict[str, Any]:
        """The batch at the position that is next, from this process as long as it reads meanwhile."""
        assert self._stream is not None
        if self._meanwhile is not None:
            if not self._stream.ready:
                return self._read_here(self._meanwhile, position)
            self._meanwhile = None
            self._batches = itertools.dropwhile(lambda each: each[0] < position, self._batches)
        given, batch = next(self._batches, (None, {}))
        if given != position:
            raise RuntimeError(f"the data stream gave {given} in the place of {position} (epoch, batch)")
        return batch

    def open(self, epoch: int, start: int = 0) -> None:
        """Begin to read at a position, unless the stream stands there already and the data set is as it was."""
        if self._stands_at(epoch, start):
            return
        self.close()
        reader = self._new_reader()
        length = self._row_length(reader)
        # Held here, so that an actor that is started again finds it.
        self._reader = ray.put(self._arrays.pack(reader))
        self._arrays.adopt(self.dataset)
        pool = self._fitting_pool(length * self.plan.samples_per_batch)
        self._stream = RowStream(_Reader, (self._reader,), self._rows(epoch, start, length), pool)
        self._batches = itertools.chain.from_iterable(map(_open, self._stream))
        self._meanwhile = reader if self._read_meanwhile else None
        self._next, self._skipped = (epoch, start), skipped_types(self.dataset)

    def bytes_in_flight(self) -> int | None:
        """Bytes of batches on their way; None when nobody knows."""
        return None if self._stream is None else self._stream.bytes_in_flight()

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._stream, self._next = None, None

    def _rows(self, epoch: int, start: int, longest: int) -> Iterator[Row]:
        """Rows of several batches each, from a position on."""
        positions = self._positions(epoch, start)
        for length in _row_lengths(longest):
            run = list(itertools.islice(positions, length))
            if not run:
                return
            draws = [self.plan.draws(each, self._rank, batch) for each, batch in run]
            yield {
                "positions": np.array(run, np.int64).reshape(-1),
                "sizes": np.array([len(each) for each in draws], np.int64),
                "draws": np.array(list(itertools.chain.from_iterable(draws)), np.uint64),
            }

    def _positions(self, epoch: int, start: int) -> Iterator[Position]:
        """To the end of the run or, for a sequential plan, of the epoch."""
        last = epoch + 1 if self.plan.order == "sequential" else self._epochs
        for each in itertools.count(epoch) if last is None else range(epoch, max(last, epoch + 1)):
            for batch in range(start if each == epoch else 0, len(self)):
                yield each, batch


def _row_lengths(limit: int) -> Iterator[int]:
    """1, 1, 2, 4 ... and then `limit` for ever."""
    length = 1
    yield 1
    while length < limit:
        yield length
        length *= 2
    yield from itertools.repeat(limit)


def _num_bytes(batch: Any) -> int:
    """Bytes of the tensors and arrays in a batch."""
    if isinstance(batch, Mapping):
        return sum(map(_num_bytes, batch.values()))
    if isinstance(batch, (list, tuple)):
        return sum(map(_num_bytes, batch))
    return int(getattr(batch, "nbytes", 0))


class _Reader:
    """The worker in a data actor."""

    def __init__(self, reader: Any) -> None:
        import cv2
        import torch

        torch.set_num_threads(1)  # actors are the parallelism
        cv2.setNumThreads(0)
        self._reader: BatchReader = unpack(ray.get(reader))
        self._container = Container()
        self._reader.empty = self._container.empty

    def __call__(self, row: Row) -> Columns:
        draws = [Draw(int(index), int(seed)) for index, seed in row["draws"]]
        ends = np.cumsum(row["sizes"]).tolist()
        # Used again and again: a row is in the object store when the next one is asked for.
        payload, entries = self._container.fill(
            self._reader(draws[start:end]) for start, end in zip([0, *ends], ends, strict=False)
        )
        index = np.frombuffer(json.dumps(entries).encode(), np.uint8)
        return {"positions": row["positions"], "index": index, "payload": payload}


def _open(columns: Columns) -> Iterator[tuple[Position, dict[str, Any]]]:
    """The batches of a row with their positions."""
    positions = [(int(epoch), int(batch)) for epoch, batch in columns["positions"].reshape(-1, 2)]
    return zip(positions, unload(columns["payload"], json.loads(columns["index"].tobytes())), strict=True)
