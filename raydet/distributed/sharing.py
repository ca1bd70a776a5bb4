"""Large arrays in Ray's object store, where all processes of a node read the same memory."""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import ray
from ray import cloudpickle

LARGE = 1 << 16
"""Bytes of an array that is worth a place of its own."""


class Shared(NamedTuple):
    """A value whose large arrays are elsewhere.

    Attributes:
        rest: the pickle of all but them.
        arrays: references to them.
    """

    rest: bytes
    arrays: list[Any]


class ArrayStore:
    """Puts each large array of a process into the object store once, however many values hold it."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[np.ndarray, Any, np.ndarray]] = {}  # the array, its reference, what stands there

    def pack(self, value: Any) -> Shared:
        """A value in the form that `unpack` opens in any process."""
        buffer = io.BytesIO()
        arrays: list[Any] = []
        _Pickler(buffer, arrays, self._place).dump(value)
        return Shared(buffer.getvalue(), arrays)

    def adopt(self, value: Any) -> None:
        """Let `value` read its packed arrays in the object store too, so that this process need not keep its own."""
        for holder in _holders(value):
            for name, held in list(vars(holder).items()):
                if id(held) in self._known:
                    object.__setattr__(holder, name, self._known[id(held)][2])  # the same numbers, so frozen or not
        self._known = {id(stored): (stored, reference, stored) for _, reference, stored in self._known.values()}

    def _place(self, array: np.ndarray) -> Any:
        if id(array) not in self._known:
            reference = ray.put(array)
            self._known[id(array)] = (array, reference, ray.get(reference))
        return self._known[id(array)][1]


def unpack(shared: Shared) -> Any:
    """The value; its large arrays are views of the object store and read-only."""
    return _Unpickler(io.BytesIO(shared.rest), ray.get(shared.arrays)).load()


def _holders(value: Any) -> Iterator[Any]:
    """All objects with attributes below `value`."""
    seen, todo = set(), [value]
    while todo:
        each = todo.pop()
        if id(each) in seen or isinstance(each, (type, np.ndarray)):
            continue
        seen.add(id(each))
        if isinstance(each, (list, tuple)):
            todo.extend(part for part in each if hasattr(part, "__dict__"))
        elif hasattr(each, "__dict__"):
            yield each
            todo.extend(
                part for part in vars(each).values() if isinstance(part, (list, tuple)) or hasattr(part, "__dict__")
            )


class _Pickler(cloudpickle.Pickler):
    def __init__(self, buffer: io.BytesIO, arrays: list[Any], place: Any) -> None:
        super().__init__(buffer)
        self._arrays = arrays
        self._place = place

    def persistent_id(self, value: Any) -> int | None:
        if type(value) is not np.ndarray or value.nbytes < LARGE or value.dtype.hasobject:
            return None
        reference = self._place(value)
        if reference not in self._arrays:
            self._arrays.append(reference)
        return self._arrays.index(reference)


class _Unpickler(pickle.Unpickler):
    def __init__(self, buffer: io.BytesIO, arrays: list[Any]) -> None:
        super().__init__(buffer)
        self._arrays = arrays

    def persistent_load(self, number: Any) -> Any:
        return self._arrays[number]
