"""Reading COCO annotation files, with every complaint that the file deserves."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from raydet.datasets.log import say_once
from raydet.datasets.table import CocoTable, PackedRecords, column
from raydet.transforms.files import FileClientArgs, read_bytes

Record = Mapping[str, Any]


def read_coco(path: str, file_client_args: FileClientArgs | None = None) -> CocoTable:
    """Read a COCO annotation file.

    Args:
        path: the file.
        file_client_args: where it lies.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is empty, not JSON, not of the COCO layout, or contradicts itself.
    """
    content = read_json(path, file_client_args)
    if not isinstance(content, dict) or "images" not in content:
        raise ValueError(f"{path} is not a COCO annotation file: the key 'images' is missing")
    return make_table(content, path)


def read_json(path: str, file_client_args: FileClientArgs | None = None) -> Any:
    """The content of a JSON file; ValueError that names the file and the place when it is broken."""
    content = read_bytes(path, file_client_args)
    if not content.strip():
        raise ValueError(f"{path} is empty, a JSON file with annotations was expected")
    try:
        return json.loads(content)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a JSON file: {error}") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}:{error.lineno}: broken JSON at column {error.colno}: {error.msg}") from None


def make_table(content: Record, path: str) -> CocoTable:
    """Put the lists of a COCO file into columns.

    Args:
        content: `images`, `annotations` (may be missing, as for test sets), `categories`.
        path: for messages.
    """
    images, categories = content["images"], tuple(content.get("categories", ()))
    _require(images, ("id", "file_name", "height", "width"), "image", path)
    _require(categories, ("id", "name"), "category", path)
    image_ids = column((image["id"] for image in images), np.int64)
    category_ids = column((category["id"] for category in categories), np.int64)
    _unique(image_ids, "image", path)
    _unique(category_ids, "category", path)
    annotations, position = _by_image(content.get("annotations", ()), image_ids, path)
    _check_categories(annotations, category_ids, path)
    boxes = column((_box(each, path) for each in annotations), np.float64, (-1, 4))
    areas = column(_areas(annotations, boxes), np.float64)
    table = CocoTable(
        images=PackedRecords({**image, "filename": image["file_name"]} for image in images),
        image_ids=image_ids,
        sizes=column(([image["width"], image["height"]] for image in images), np.float64, (-1, 2)),
        offsets=column(np.searchsorted(position, np.arange(len(images) + 1)), np.int64),
        ids=column((each["id"] for each in annotations), np.int64),
        boxes=boxes,
        areas=areas,
        categories=column((each["category_id"] for each in annotations), np.int64),
        crowd=column((bool(each.get("iscrowd", False)) for each in annotations), bool),
        ignore=column((bool(each.get("ignore", False)) for each in annotations), bool),
        segmentations=PackedRecords(each.get("segmentation") for each in annotations),
        category_records=categories,
    )
    _unique(table.ids, "annotation", path)
    _count_unusable(table, path)
    return table


def _require(records: Sequence[Record], keys: tuple[str, ...], what: str, path: str) -> None:
    for number, record in enumerate(records):
        missing = [key for key in keys if key not in record]
        if missing:
            raise ValueError(f"{path}: {what} number {number} (id {record.get('id')}) lacks {', '.join(missing)}")


def _unique(ids: np.ndarray, what: str, path: str) -> None:
    values, counts = np.unique(ids, return_counts=True)
    twice = values[counts > 1]
    if len(twice):
        raise ValueError(f"{path}: {what} ids are not unique, {len(twice)} occur several times, first {twice[0]}")


def _by_image(annotations: Sequence[Record], image_ids: np.ndarray, path: str) -> tuple[list[Record], np.ndarray]:
    """Annotations ordered by the position of their image, and these positions."""
    _require(annotations, ("id", "image_id", "category_id"), "annotation", path)
    order = np.argsort(image_ids, kind="stable")
    wanted = np.array([each["image_id"] for each in annotations], np.int64)
    if not len(image_ids):
        return [], np.empty(0, np.int64)
    found = order[np.minimum(np.searchsorted(image_ids, wanted, sorter=order), len(order) - 1)]
    known = image_ids[found] == wanted
    if not known.all():
        say_once(f"{path}: {int((~known).sum())} annotations belong to images that are not in the file; left out")
    chosen = np.flatnonzero(known)
    chosen = chosen[np.argsort(found[chosen], kind="stable")]
    return [annotations[i] for i in chosen.tolist()], found[chosen]


def _check_categories(annotations: Sequence[Record], category_ids: np.ndarray, path: str) -> None:
    known = set(category_ids.tolist())
    for each in annotations:
        if each["category_id"] not in known:
            raise ValueError(
                f"{path}: annotation {each['id']} has category_id {each['category_id']}, which is not among "
                f"categories ({sorted(known)[:10]}); add it there or remove the annotation"
            )


def _box(annotation: Record, path: str) -> Sequence[float]:
    box = annotation.get("bbox")
    if not isinstance(box, (list, tuple)) or len(box) != 4:
        raise ValueError(f"{path}: annotation {annotation['id']} needs bbox = [x, y, width, height], got {box!r}")
    return [np.nan if value is None else value for value in box]


def _areas(annotations: Sequence[Record], boxes: np.ndarray) -> list[float]:
    """The areas given, or those of the boxes."""
    return [each.get("area", w * h) for each, (_, _, w, h) in zip(annotations, boxes.tolist(), strict=True)]


def _count_unusable(table: CocoTable, path: str) -> None:
    finite = np.isfinite(table.boxes).all(axis=1)
    dropped = int((~table.usable() & ~table.ignore).sum())
    if dropped:
        say_once(
            f"{path}: {dropped} of {len(table.ids)} boxes are not used: {int((~finite).sum())} are NaN or infinite, "
            f"the others have no area, are narrower than a pixel or lie outside their image"
        )
