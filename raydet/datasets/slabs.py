"""Shared memory that loader processes fill again and again.

A tensor that a `DataLoader` worker returns gets shared memory of its own, whose pages are new to both processes: they
cost more processor time than decoding the image. Here each worker owns a few slabs. It writes a batch into a free one,
the training process copies it out and sets the slab free; both know its pages from then on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor
from torch.utils.data import get_worker_info
from torch.utils.data._utils.pin_memory import pin_memory

from raydet.datasets.collate import new_memory
from raydet.datasets.parcel import Entry, Parcel, address_of, read_parcel

_HEADER = 64  # bytes; the first one says whether the slab is taken
_SPARE = 1.25  # batches differ in size
_NO_SLAB = torch.empty(0, dtype=torch.uint8)


class SlabPost:
    """The training process's side: which slabs there are. It must live as long as batches arrive."""

    def __init__(self) -> None:
        self._slabs: dict[tuple[int, int], Tensor] = {}
        _POSTS[id(self)] = self

    def slab(self, worker: int, number: int, memory: Tensor | None) -> Tensor:
        """Slab `number` of a worker; `memory` comes with the first batch in it."""
        if memory is not None:
            self._slabs[worker, number] = memory
        return self._slabs[worker, number]


_POSTS: WeakValueDictionary[int, SlabPost] = WeakValueDictionary()


class SlabWriter:
    """The worker's side: sends a `FilledSlab` in the place of a batch, or the batch itself where that cannot be.

    Args:
        post: of the training process.
        count: slabs of each worker; as many as batches may wait, and one or two more.
    """

    def __init__(self, post: SlabPost, count: int) -> None:
        self._post = id(post)
        self._slabs: list[Tensor] = [_NO_SLAB] * count
        self._unsent: set[int] = set()  # whose memory the training process has not seen
        self._lent: int | None = None

    def empty(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """An `Empty` for the batch that comes next: its images are stacked in the slab that it will be in."""
        number = self._free()
        if self._lent is not None or number is None:
            return new_memory(shape, dtype)
        self._lent = number
        size = math.prod(shape) * dtype.itemsize
        self._grow(number, size + _HEADER)
        return self._slabs[number][_HEADER : _HEADER + size].view(dtype).view(tuple(shape))

    def __call__(self, batch: Mapping[str, Any]) -> Any:
        worker, number = get_worker_info(), self._free()
        lent, self._lent = self._lent, None
        try:
            parcel = Parcel(batch, None if number is None else self._place(number))
        except TypeError:  # a field of a user's own that torch may know how to send
            parcel = None
        if worker is None or number is None or parcel is None:
            if lent is not None:  # the batch keeps it
                self._slabs[lent] = _NO_SLAB
            return batch
        self._grow(number, parcel.size + _HEADER)
        slab = self._slabs[number]
        parcel.write(slab.numpy()[_HEADER:])
        slab[0] = 1
        memory = slab if number in self._unsent else None
        self._unsent.discard(number)
        return FilledSlab(self._post, worker.id, number, memory, parcel.entry)

    def _free(self) -> int | None:
        """A slab that the training process is done with."""
        if get_worker_info() is None:
            return None
        return next((i for i, slab in enumerate(self._slabs) if not len(slab) or not slab[0]), None)

    def _place(self, number: int) -> int:
        return address_of(self._slabs[number].numpy()[_HEADER:])

    def _grow(self, number: int, size: int) -> None:
        """Take new memory for a slab that is too small."""
        if len(self._slabs[number]) >= size:
            return
        memory: Tensor = torch.zeros(int(size * _SPARE), dtype=torch.uint8)
        self._slabs[number] = memory.share_memory_()  # type: ignore[no-untyped-call]
        self._unsent.add(number)


class FilledSlab:
    """A batch in a slab on its way to the training process, which opens it once; unopened, it frees its slab."""

    _slab: Tensor | None = None  # only in the training process

    def __init__(self, post: int, worker: int, number: int, memory: Tensor | None, entry: Entry) -> None:
        self._post = post
        self._place = (worker, number, memory)
        self._entry = entry

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._slab = _POSTS[self._post].slab(*self._place)

    def open(self) -> dict[str, Any]:
        """The batch in memory of its own."""
        assert self._slab is not None
        batch = read_parcel(self._slab.numpy()[_HEADER:], self._entry)
        self.__del__()
        return batch

    def pin_memory(self) -> dict[str, Any]:
        """What the pinning thread of a `DataLoader` calls: the batch in memory that a GPU can fetch by itself."""
        return pin_memory(self.open())  # type: ignore[no-any-return, no-untyped-call]

    def __del__(self) -> None:
        if self._slab is not None:
            self._slab[0] = 0
            self._slab = None
