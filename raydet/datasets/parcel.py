"""Batches in flat buffers, the form in which they cross from one process to another."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from raydet.datasets.collate import new_memory
from raydet.datasets.pixels import NORM_SPEC
from raydet.datasets.wire import Columns, pack, unpack

Span = tuple[str, int, int]
Entry = tuple[int, dict[str, Span]]
"""Bytes of a batch, and (dtype, offset, length) of each of its columns; plain enough for JSON."""

_ALIGNMENT = 64
_SPARE = 1.25  # batches differ in size


def address_of(array: np.ndarray) -> int:
    """Where in memory an array begins."""
    return int(array.__array_interface__["data"][0])


class Parcel:
    """A packed batch, ready to be written into a buffer of `size` bytes.

    Args:
        batch: from `collate`.
        place: address of the buffer where it is known; a column that lies there stays there.

    Attributes:
        size: bytes.
        entry: what `read_parcel` needs.

    Raises:
        TypeError: the batch holds something that has no place in columns.
    """

    def __init__(self, batch: Mapping[str, Any], place: int | None = None) -> None:
        columns = pack(batch)
        self._columns = dict(sorted(columns.items(), key=lambda column: address_of(column[1]) != place))
        self._spans: dict[str, Span] = {}
        self.size = 0
        for name, column in self._columns.items():
            self._spans[name] = (column.dtype.str, self.size, len(column))
            self.size += -(-column.nbytes // _ALIGNMENT) * _ALIGNMENT
        self.entry: Entry = (self.size, self._spans)

    def write(self, buffer: np.ndarray) -> None:
        """Copy the batch into `buffer`, `(size or more,)` uint8."""
        for name, target in _views(buffer, self._spans).items():
            if address_of(target) != address_of(self._columns[name]):
                target[:] = self._columns[name]


class Container:
    """Memory that parcels are put into side by side, again and again.

    New pages cost as much processor time as a copy, so that a batch is let go before the next one is made, and the
    memory is never given back.
    """

    def __init__(self) -> None:
        self._memory = np.empty(0, np.uint8)
        self._end = 0
        self._lent = False

    def empty(self, shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
        """An `Empty` for the batch that comes next: its images are stacked where they are going to lie."""
        if self._lent:  # there is one such place
            return new_memory(shape, dtype)
        size = math.prod(shape) * dtype.itemsize
        self._lent = True
        self._grow(self._end + size)
        return torch.from_numpy(self._memory[self._end : self._end + size]).view(dtype).view(tuple(shape))

    def fill(self, batches: Iterable[Mapping[str, Any]]) -> tuple[np.ndarray, list[Entry]]:
        """The memory with the batches in it, good until the next call, and the index that `unload` needs.

        Raises:
            TypeError: a batch holds something that has no place in columns.
        """
        index: list[Entry] = []
        self._end, self._lent = 0, False
        for batch in batches:
            parcel = Parcel(batch, address_of(self._memory[self._end :]))
            self._grow(self._end + parcel.size)
            parcel.write(self._memory[self._end :])
            self._end, self._lent = self._end + parcel.size, False
            index.append(parcel.entry)
        return self._memory[: self._end], index

    def _grow(self, size: int) -> None:
        if len(self._memory) >= size:
            return
        memory = np.empty(int(size * _SPARE), np.uint8)
        memory[: self._end] = self._memory[: self._end]
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
