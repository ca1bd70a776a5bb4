"""Batches side by side in one flat buffer, the form in which they cross from one process to another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from raydet.datasets.wire import Columns, pack, unpack

Span = tuple[str, int, int]
Entry = tuple[int, int, dict[str, Span]]
"""Where a batch starts and ends, and (dtype, offset from its start, length) of each of its columns."""

_ALIGNMENT = 64


class Parcel:
    """Packed batches, ready to be written into a buffer of `size` bytes.

    Args:
        batches: from `collate`.

    Attributes:
        index: one `Entry` per batch, plain enough for JSON; `read_parcel` needs it.
        size: bytes.

    Raises:
        TypeError: a batch holds something that has no place in columns.
    """

    def __init__(self, batches: Iterable[Mapping[str, Any]]) -> None:
        self._columns = [pack(batch) for batch in batches]
        self.index: list[Entry] = []
        self.size = 0
        for columns in self._columns:
            start, spans = self.size, {}
            for name, column in columns.items():
                spans[name] = (column.dtype.str, self.size - start, len(column))
                self.size += -(-column.nbytes // _ALIGNMENT) * _ALIGNMENT
            self.index.append((start, self.size, spans))

    def write(self, buffer: np.ndarray) -> None:
        """Copy the batches into `buffer`, `(size or more,)` uint8."""
        for columns, (start, end, spans) in zip(self._columns, self.index, strict=True):
            for name, target in _views(buffer[start:end], spans).items():
                target[:] = columns[name]


def read_parcel(buffer: np.ndarray, index: Sequence[Sequence[Any]]) -> Iterator[dict[str, Any]]:
    """The batches of a parcel, each copied out of the buffer when its turn comes."""
    for start, end, spans in index:
        yield unpack(_views(np.array(buffer[start:end]), spans))


def _views(buffer: np.ndarray, spans: Mapping[str, Sequence[Any]]) -> Columns:
    return {
        name: np.frombuffer(buffer, dtype, length, offset) if length else np.empty(0, dtype)
        for name, (dtype, offset, length) in spans.items()
    }
