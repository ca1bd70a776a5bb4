"""Images and annotations to check, as data sets give them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from raydet.analysis.findings import Finding

WRONG_DATA = (ValueError, TypeError, LookupError, OSError)
"""What broken annotations lead to."""


@dataclass(frozen=True)
class Object:
    """One annotated object.

    Attributes:
        box: x1, y1, x2, y2.
        name: its class, None when it does not exist.
        category: as the file says it, for messages.
        segmentation: polygons, RLE or None.
        is_crowd: a region of many objects.
        is_used: its class is among those of the data set.
    """

    box: tuple[float, float, float, float]
    name: str | None
    category: Any
    segmentation: Any = None
    is_crowd: bool = False
    is_used: bool = True


@dataclass
class Entry:
    """One image: its file, its size as the annotations say it, its objects, and what was wrong in reading them."""

    path: str | None
    size: tuple[int, int] | None = None  # width, height
    objects: list[Object] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


class Source(Protocol):
    """Entries, made one at a time."""

    file_client_args: Mapping[str, Any]

    def __len__(self) -> int: ...

    def entry(self, index: int) -> Entry:
        """One image."""

    def findings(self) -> Iterator[Finding]:
        """What is wrong with the whole."""


def read_entry(source: Source, index: int) -> Entry:
    """One image; an entry without content when its record makes no sense at all."""
    try:
        return source.entry(index)
    except WRONG_DATA as error:
        message = f"entry number {index} ({type(error).__name__}: {error})"
        return Entry(None, findings=[Finding("broken record", message)])


class TableSource:
    """A data set that keeps the columns of COCO, whatever kind of file they came from, with all its annotations."""

    def __init__(self, dataset: Any) -> None:
        self.dataset, self.table = dataset, dataset._table
        self.file_client_args: Mapping[str, Any] = dataset.file_client_args
        self._names = {each["id"]: str(each["name"]) for each in self.table.category_records}

    def __len__(self) -> int:
        return len(self.dataset)

    def findings(self) -> Iterator[Finding]:
        """Nothing: such files have been checked as a whole in reading them."""
        return iter(())

    def entry(self, index: int) -> Entry:
        """One image with its objects."""
        rows = self.table.rows(index)
        width, height = (int(side) for side in self.table.sizes[index])
        return Entry(
            self.dataset.filename(index), (width, height), [self._object(row) for row in range(rows.start, rows.stop)]
        )

    def _object(self, row: int) -> Object:
        x, y, w, h = self.table.boxes[row].tolist()
        category = int(self.table.categories[row])
        name, mask = self._names.get(category), self.table.segmentations[row]
        used = category in self.dataset.cat2label
        return Object((x, y, x + w, y + h), name, category, mask, bool(self.table.crowd[row]), used)


class DatasetSource:
    """Any data set with `data_infos`, `filename` and `get_ann_info`."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset
        self.file_client_args: Mapping[str, Any] = getattr(dataset, "file_client_args", {})

    def __len__(self) -> int:
        return len(self.dataset)

    def findings(self) -> Iterator[Finding]:
        """Files that occur twice."""
        for name, count in Counter(map(self.dataset.filename, range(len(self)))).items():
            if count > 1:
                yield Finding("duplicate id", f"{count} entries are of the same image", name)

    def entry(self, index: int) -> Entry:
        """One image with its objects."""
        path = self.dataset.filename(index)
        info = self.dataset.data_infos[index]
        sized = isinstance(info, Mapping) and info.get("width") and info.get("height")
        size = (int(info["width"]), int(info["height"])) if sized else None
        return Entry(path, size, list(self._objects(self.dataset.get_ann_info(index))))

    def _objects(self, info: Mapping[str, Any]) -> Iterator[Object]:
        names = self.dataset.CLASSES or ()
        boxes, labels = _boxes(info["bboxes"]), np.asarray(info["labels"]).tolist()
        masks = info.get("masks")
        masks = masks if masks is not None and len(masks) == len(boxes) else [None] * len(boxes)
        for box, label, mask in zip(boxes, labels, masks, strict=True):
            known = not names or 0 <= label < len(names)
            yield Object(box, (names[label] if names else str(label)) if known else None, label, mask)
        for box in _boxes(info.get("bboxes_ignore", ())):
            yield Object(box, "ignored", "ignored", is_crowd=True)


def _boxes(boxes: Any) -> list[tuple[float, float, float, float]]:
    return [(x1, y1, x2, y2) for x1, y1, x2, y2 in np.asarray(boxes, np.float64).reshape(-1, 4).tolist()]
