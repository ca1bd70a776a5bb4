"""Annotations in flat numpy columns: one immutable block of memory instead of millions of small objects.

A list of dicts grows in every worker process as Python touches its reference counts; arrays stay shared.
"""

from __future__ import annotations

import contextlib
import ctypes
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
        self._pack([json.dumps(record, separators=(",", ":")).encode() for record in records])

    @classmethod
    def of_json(cls, texts: Sequence[Any]) -> PackedRecords:
        """Records that are JSON already, as bytes or buffers; nothing at all stands for None."""
        packed = object.__new__(cls)
        packed._pack(texts)
        return packed

    def _pack(self, texts: Sequence[Any]) -> None:
        sizes = (memoryview(text).nbytes for text in texts)
        ends = np.cumsum(np.fromiter(sizes, np.int64, len(texts)))
        self._bytes = _frozen(np.frombuffer(b"".join(texts), np.uint8))
        self._offsets = narrowed(np.concatenate([np.zeros(1, np.int64), ends]))
        self._order: np.ndarray | None = None  # all of them, as they stand

    def __len__(self) -> int:
        return len(self._offsets) - 1 if self._order is None else len(self._order)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        text = self.text(index)
        return json.loads(text) if text else None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def text(self, index: int) -> bytes:
        """The JSON of one record."""
        numbers = range(len(self)) if self._order is None else self._order
        number = int(numbers[index])
        return self._bytes[self._offsets[number] : self._offsets[number + 1]].tobytes()

    def take(self, indices: Sequence[int]) -> PackedRecords:
        """The records at `indices`, sharing their memory."""
        taken = object.__new__(PackedRecords)
        taken._bytes, taken._offsets = self._bytes, self._offsets
        chosen = np.asarray(indices, np.int64)
        taken._order = narrowed(chosen if self._order is None else self._order[chosen])
        return taken

    def copy_of(self, indices: Iterable[int]) -> PackedRecords:
        """The records at `indices` in memory of their own, for what is copied or sent away."""
        return PackedRecords.of_json([self.text(index) for index in indices])


@dataclass(frozen=True)
class CocoTable:
    """The contents of a COCO annotation file; I images, A annotations ordered by image.

    Attributes:
        images: I records as they stand in the file, with `filename` beside `file_name`.
        image_ids: `(I,)` integers.
        sizes: `(I, 2)` float64 width and height.
        offsets: `(I + 1,)`; the annotations of image i stand at `offsets[i]:offsets[i + 1]`, in file order.
        ids: `(A,)` integers.
        boxes: `(A, 4)` float64 x, y, width, height.
        areas: `(A,)` float64.
        categories: `(A,)` integers, category ids.
        crowd: `(A,)` bool.
        ignore: `(A,)` bool, annotations that the file marks as ignored.
        segmentations: A records, None for an annotation without a mask.
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

    def to_coco(self) -> dict[str, Any]:
        """The table as the content of a COCO annotation file."""
        columns = {
            "id": self.ids.tolist(),
            "image_id": np.repeat(self.image_ids, np.diff(self.offsets)).tolist(),
            "category_id": self.categories.tolist(),
            "bbox": self.boxes.tolist(),
            "area": self.areas.tolist(),
            "iscrowd": self.crowd.astype(int).tolist(),
            "ignore": self.ignore.astype(int).tolist(),
            "segmentation": self.segmentations,
        }
        annotations = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        return {"images": list(self.images), "annotations": annotations, "categories": list(self.category_records)}

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


def give_back_memory() -> None:
    """Let the system have what the objects took that reading made, as much as the columns; glibc would keep it."""
    with contextlib.suppress(AttributeError, OSError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def narrowed(integers: np.ndarray) -> np.ndarray:
    """The same integers, read-only, in the narrowest signed type that holds them."""
    low, high = (int(integers.min()), int(integers.max())) if len(integers) else (0, 0)
    kinds = (np.int8, np.int16, np.int32, np.int64)
    fits = (kind for kind in kinds if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max)
    return _frozen(integers.astype(next(fits)))


def column(values: Iterable[Any], dtype: Any, shape: tuple[int, ...] = (-1,)) -> np.ndarray:
    """A read-only array of `values`."""
    return _frozen(np.array(list(values), dtype).reshape(shape))
