"""A long stream of rows through Ray Data actors that comes back in the order in which it was sent."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from raydet.distributed.blocks import Columns, Row
from raydet.distributed.window import Window

FIRST_WINDOW = 512
"""Rows; half a second until Ray Data has been told of them, and enough for the whole of a short run."""
WINDOW = 4096
_REFILL_AT = 32


@dataclass(frozen=True)
class ActorPool:
    """The actors of a stream.

    Args:
        size: how many.
        cpus: CPUs that each takes, may be a fraction.
        label_selector: nodes that may hold them, for example `{"pool": "data"}`.
        bytes_in_flight: object store that finished rows may take while they wait to be fetched.
        beside: they stay on the node of the process that they read for.
    """

    size: int = 1
    cpus: float = 1.0
    label_selector: Mapping[str, str] | None = None
    bytes_in_flight: int = 1024**3
    beside: bool = False

    def sharing_cpus(self) -> ActorPool:
        """The same pool with next to no CPUs of its own, for work that others wait for meanwhile."""
        return replace(self, cpus=0.01)


class RowStream:
    """Rows that a pool of actors turns into columns, one block each, in order.

    Ray Data starts actors and an executor for every execution and takes one or two milliseconds to be told of each row,
    so rows go in windows: a short first one, to have the first result soon, then long ones. In the middle of a window
    Ray Data is told of the next, whose actors start while the last rows are on their way; the first begins when the
    stream is made. A stream closed before its end stops its actors.

    Args:
        worker: class whose instances are called with a row and return columns.
        arguments: of the constructor, sent to every actor once; put large ones into the object store.
        rows: the rows, possibly without end.
    """

    def __init__(self, worker: type, arguments: tuple[Any, ...], rows: Iterable[Row], pool: ActorPool) -> None:
        self._worker = worker
        self._arguments = arguments
        self._pool = pool
        self._rows = iter(rows)
        self._windows = _window_sizes()
        self._open: list[Window] = []
        self._first = self._next_window()
        if self._first is not None:
            self._first.begin()

    @property
    def ready(self) -> bool:
        """The first row can be had without waiting."""
        return self._first is None or self._first.ready

    def __iter__(self) -> Iterator[Columns]:
        window = self._first
        while window is not None:
            following: Window | None = None
            refill = max(window.size - _REFILL_AT, 0)
            for number, columns in enumerate(window):
                if number == refill // 2:
                    following = self._next_window()
                if number == refill and following is not None:
                    following.begin()
                yield columns
            self._open.remove(window)
            window = following

    def _next_window(self) -> Window | None:
        rows = list(itertools.islice(self._rows, next(self._windows)))
        if not rows:
            return None
        window = Window(self._worker, self._arguments, rows, self._pool)
        self._open.append(window)
        return window

    def bytes_in_flight(self) -> int | None:
        """Bytes of rows that are finished and not fetched yet; None when Ray Data does not tell."""
        told = [window.bytes_in_flight() for window in self._open]
        return None if None in told else sum(each for each in told if each is not None)

    def close(self) -> None:
        """Stop the actors."""
        for window in self._open:
            window.close()
        self._open.clear()


def _window_sizes() -> Iterator[int]:
    yield FIRST_WINDOW
    yield from itertools.repeat(WINDOW)
