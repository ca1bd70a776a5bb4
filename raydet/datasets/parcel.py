"""Batches in flat buffers, the form in which they cross from one process to another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from raydet.datasets.pixels import NORM_SPEC
from raydet.datasets.wire import Columns, pack, unpack

Span = tuple[str, int, int]
Entry = tuple[int, dict[str, Span]]
"""Bytes of a batch, and (dtype, offset, length) of each of its columns; plain enough for JSON."""

_ALIGNMENT = 64
_SPARE = 1.25  # batches differ in size


class Parcel:
    """A packed batch, ready to be written into a buffer of `size` bytes.

    Args:
        batch: from `collate`.

    Attributes:
        size: bytes.
        entry: what `read_parcel` needs.

    Raises:
        TypeError: the batch holds something that has no place in columns.
    """

    def __init__(self, batch: Mapping[str, Any]) -> None:
        self._columns = pack(batch)
        self._spans: dict[str, Span] = {}
        self.size = 0
        for name, column in self._columns.items():
            self._spans[name] = (column.dtype.str, self.size, len(column))
            self.size += -(-column.nbytes // _ALIGNMENT) * _ALIGNMENT
        self.entry: Entry = (self.size, self._spans)

    def write(self, buffer: np.ndarray) -> None:
        """Copy the batch into `buffer`, `(size or more,)` uint8."""
        for name, target in _views(buffer, self._spans).items():
            target[:] = self._columns[name]


class Container:
    """Memory that parcels are put into side by side, again and again.

    New pages cost as much processor time as a copy, so that a batch is let go before the next one is made, and the
    memory is never given back.
    """

    def __init__(self) -> None:
        self._memory = np.empty(0, np.uint8)

    def fill(self, batches: Iterable[Mapping[str, Any]]) -> tuple[np.ndarray, list[Entry]]:
        """The memory with the batches in it, good until the next call, and the index that `unload` needs.

        Raises:
            TypeError: a batch holds something that has no place in columns.
        """
        index: list[Entry] = []
        end = 0
        for batch in batches:
            parcel = Parcel(batch)
            start, end = end, end + parcel.size
            self._grow(end, start)
            parcel.write(self._memory[start:end])
            index.append(parcel.entry)
        return self._memory[:end], index

    def _grow(self, size: int, kept: int) -> None:
        if len(self._memory) >= size:
            return
        memory = np.empty(int(size * _SPARE), np.uint8)
        memory[:kept] = self._memory[:kept]
        self._memory = memory


def read_parcel(buffer: np.ndarray, entry: Sequence[Any]) -> dict[str, Any]:
    """The batch at the beginning of `buffer`, copied out of it."""
    size, spans = entry
    return unpack(_views(np.array(buffer[:size]), spans))


def unload(buffer: np.ndarray, index: Iterable[Sequence[Any]]) -> Iterator[dict[str, Any]]:
    """The batches of a container, each copied out of `buffer` when its turn comes.

    Images that wait for their normalisation stay where they are: `to_device` makes new ones of them.
    """
    start = 0
    for size, spans in index:
        columns = _views(buffer[start : start + size], spans)
        lent = [name for name in columns if NORM_SPEC in spans and _is_image(name)]
        yield unpack({name: column if name in lent else column.copy() for name, column in columns.items()})
        start += size


def _is_image(name: str) -> bool:
    return name == "img" or (name.startswith("img/") and not name.endswith(":shape"))


def _views(buffer: np.ndarray, spans: Mapping[str, Sequence[Any]]) -> Columns:
    return {
        name: np.frombuffer(buffer, dtype, length, offset) if length else np.empty(0, dtype)
        for name, (dtype, offset, length) in spans.items()
    }
