"""What COCO evaluation compares, in columns: true objects and detections."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np
from pycocotools import mask as rle_tools
from pycocotools.coco import COCO

from raydet.datasets.coco_results import Columns
from raydet.datasets.table import CocoTable

Row = Mapping[str, Any]
"""One detection of a COCO result file: image_id, category_id, score and bbox (xywh) or segmentation (RLE)."""
# pycocotools 2.0.11 fails on lists of more than 255 masks with numpy 2
_MASKS_AT_ONCE = 255


@dataclass(frozen=True)
class Objects:
    """Objects of many images, in the order of their file; of N objects.

    Attributes:
        images: `(N,)` int64 image ids.
        categories: `(N,)` int64 category ids.
        boxes: `(N, 4)` float64 x, y, width, height.
        areas: `(N,)` float64 sizes in square pixels.
        masks: N RLE dicts, or None when only boxes are compared.
    """

    images: np.ndarray
    categories: np.ndarray
    boxes: np.ndarray
    areas: np.ndarray
    masks: Sequence[Any] | None

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class Truths(Objects):
    """Objects as they are.

    Attributes:
        ids: `(N,)` int64 annotation ids.
        ignored: `(N,)` bool, objects that may be found or not.
        crowd: `(N,)` bool, objects that any number of detections may match.
    """

    ids: np.ndarray
    ignored: np.ndarray
    crowd: np.ndarray


@dataclass(frozen=True)
class Found(Objects):
    """Objects as they were detected.

    Attributes:
        scores: `(N,)` float64.
        spared: `(N,)` bool, detections that are not wrong when they match nothing.
    """

    scores: np.ndarray
    spared: np.ndarray


AnyObjects = TypeVar("AnyObjects", Truths, Found)


def take(objects: AnyObjects, rows: np.ndarray) -> AnyObjects:
    """The objects at `rows` `(M,)`, in that order."""
    columns: dict[str, Any] = {}
    for field in fields(objects):
        values = getattr(objects, field.name)
        columns[field.name] = values[rows] if isinstance(values, np.ndarray) else _pick(values, rows)
    return type(objects)(**columns)


def _pick(masks: Sequence[Any] | None, rows: np.ndarray) -> list[Any] | None:
    return None if masks is None else [masks[i] for i in rows.tolist()]


def truths_of(annotations: COCO | CocoTable, iou_type: str = "bbox", image_ids: Sequence[int] | None = None) -> Truths:
    """The objects of an annotation file.

    Args:
        annotations: its table or its index.
        iou_type: "segm" also brings masks.
        image_ids: only objects of these images; all when left out.
    """
    if isinstance(annotations, CocoTable):
        return _truths_of_table(annotations, iou_type, image_ids)
    by_image = annotations.imgToAnns
    groups = by_image.values() if image_ids is None else [by_image.get(each, ()) for each in image_ids]
    rows = [row for group in groups for row in group]
    crowd = _column(rows, "iscrowd", bool, 0)
    return Truths(
        images=_column(rows, "image_id", np.int64),
        categories=_column(rows, "category_id", np.int64),
        boxes=_column(rows, "bbox", np.float64, [0, 0, 0, 0]).reshape(-1, 4),
        areas=_column(rows, "area", np.float64),
        masks=[annotations.annToRLE(row) for row in rows] if iou_type == "segm" else None,
        ids=_column(rows, "id", np.int64),
        ignored=crowd,
        crowd=crowd,
    )


def _truths_of_table(table: CocoTable, iou_type: str, image_ids: Sequence[int] | None) -> Truths:
    owner = np.repeat(np.arange(len(table.image_ids)), np.diff(table.offsets))
    wanted = np.ones(len(owner), bool) if image_ids is None else np.isin(table.image_ids, image_ids)[owner]
    rows = np.flatnonzero(wanted)
    masks = None
    if iou_type == "segm":
        sizes = table.sizes[owner[rows]].astype(int).tolist()
        masks = [_rle(table.segmentations[row], *size) for row, size in zip(rows.tolist(), sizes, strict=True)]
    return Truths(
        images=table.image_ids[owner[rows]].astype(np.int64),
        categories=table.categories[rows].astype(np.int64),
        boxes=table.boxes[rows],
        areas=table.areas[rows],
        masks=masks,
        ids=table.ids[rows],
        ignored=table.crowd[rows],
        crowd=table.crowd[rows],
    )


def _rle(segmentation: Any, width: int, height: int) -> Any:
    """Polygons, or an RLE with its counts as a list, as RLE with its counts as text."""
    if isinstance(segmentation, list):
        return rle_tools.merge(rle_tools.frPyObjects(segmentation, height, width))
    if segmentation is None:
        raise ValueError("an annotation has no segmentation, which segm compares; use metric='bbox' for this file")
    if isinstance(segmentation["counts"], list):
        return rle_tools.frPyObjects(segmentation, height, width)
    return segmentation


def found_in(rows: Sequence[Row], iou_type: str = "bbox") -> Found:
    """The detections of a COCO result file."""
    return found_of(
        Columns(
            image_ids=_column(rows, "image_id", np.int64),
            category_ids=_column(rows, "category_id", np.int64),
            boxes=_column(rows, "bbox", np.float64, [0, 0, 0, 0]).reshape(-1, 4),
            scores=_column(rows, "score", np.float64),
            masks=[row["segmentation"] for row in rows] if iou_type == "segm" else None,
        )
    )


def found_of(columns: Columns) -> Found:
    """Detections to compare; sizes come from masks for masks, from boxes for boxes."""
    boxes, masks = columns.boxes, columns.masks
    return Found(
        images=columns.image_ids,
        categories=columns.category_ids,
        boxes=boxes,
        areas=boxes[:, 2] * boxes[:, 3] if masks is None else mask_areas(masks),
        masks=masks,
        scores=columns.scores,
        spared=np.zeros(len(boxes), dtype=bool),
    )


def _column(rows: Iterable[Row], key: str, dtype: Any, default: Any = None) -> np.ndarray:
    values = [row[key] for row in rows] if default is None else [row.get(key, default) for row in rows]
    return np.array(values, dtype)


def mask_areas(masks: Sequence[Any]) -> np.ndarray:
    """`(N,)` numbers of pixels of RLE masks."""
    blocks = range(0, len(masks), _MASKS_AT_ONCE)
    return np.concatenate(
        [np.zeros(0), *(np.atleast_1d(rle_tools.area(masks[i : i + _MASKS_AT_ONCE])) for i in blocks)]
    )
