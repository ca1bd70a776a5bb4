"""Annotations in flat numpy columns: one immutable block of memory instead of millions of small objects.

A list of dicts grows in every worker process as Python touches its reference counts; arrays stay shared.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np


class PackedRecords(Sequence[Any]):
    """Read-only sequence of JSON values, each decoded when asked for.

    Args:
        records: dicts, lists, strings, numbers or None.
    """

    def __init__(self, records: Iterable[Any]) -> None:
        encoded = [json.dumps(record, separators=(",", ":")).encode() for record in records]
        self._bytes = _frozen(np.frombuffer(b"".join(encoded), np.uint8))
        self._offsets = _frozen(np.concatenate([[0], np.cumsum([len(each) for each in encoded], dtype=np.int64)]))
        self._order = _frozen(np.arange(len(encoded)))

    def __len__(self) -> int:
        return len(self._order)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self._record(i) for i in self._order[index]]
        return self._record(self._order[index])

    def take(self, indices: Sequence[int]) -> PackedRecords:
        """The records at `indices`, sharing their memory."""
        taken = object.__new__(PackedRecords)
        taken._bytes, taken._offsets = self._bytes, self._offsets
        taken._order = _frozen(self._order[np.asarray(indices, np.int64)])
        return taken

    def _record(self, number: int) -> Any:
        return json.loads(self._bytes[self._offsets[number] : self._offsets[number + 1]].tobytes())


@dataclass(frozen=True)
class CocoTable:
    """The contents of a COCO annotation file; I images, A annotations ordered by image.

    Attributes:
        images: I records as they stand in the file.
        image_ids: `(I,)` int64.
        sizes: `(I, 2)` float64 width and height.
        offsets: `(I + 1,)`; the annotations of image i stand at `offsets[i]:offsets[i + 1]`, in file order.
        ids: `(A,)` int64.
        boxes: `(A, 4)` float64 x, y, width, height.
        areas: `(A,)` float64.
        categories: `(A,)` int64 category ids.
        crowd: `(A,)` bool.
        ignore: `(A,)` bool, annotations that the file marks as ignored.
        segmentations: A records.
        category_records: the categories as they stand in the file.
    """

    images: PackedRecords
    image_ids: np.ndarray
    sizes: np.ndarray
    offsets: np.ndarray
    ids: np.ndarray
    boxes: np.ndarray
    areas: np.ndarray
    categories: np.ndarray
    crowd: np.ndarray
    ignore: np.ndarray
    segmentations: PackedRecords
    category_records: tuple[Mapping[str, Any], ...]

    def rows(self, image: int) -> slice:
        """Where the annotations of the image at position `image` stand."""
        return slice(int(self.offsets[image]), int(self.offsets[image + 1]))

    def usable(self) -> np.ndarray:
        """`(A,)` bool: boxes that touch their image and have an area, in the sense of 2.x."""
        width, height = np.repeat(self.sizes, np.diff(self.offsets), axis=0).T
        x, y, w, h = self.boxes.T
        inside_w = np.minimum(x + w, width) - np.maximum(x, 0)
        inside_h = np.minimum(y + h, height) - np.maximum(y, 0)
        with np.errstate(invalid="ignore"):
            usable = (inside_w > 0) & (inside_h > 0) & (self.areas > 0) & (w >= 1) & (h >= 1)
            return np.asarray(usable & ~self.ignore & np.isfinite(self.boxes).all(axis=1))


def _frozen(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def column(values: Iterable[Any], dtype: Any, shape: tuple[int, ...] = (-1,)) -> np.ndarray:
    """A read-only array of `values`."""
    return _frozen(np.array(list(values), dtype).reshape(shape))
