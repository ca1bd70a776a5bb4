"""Images of any data set as rows of Parquet files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from raydet.datasets.coco import CocoDataset
from raydet.datasets.image_size import read_image_size
from raydet.transforms.files import DISK, FileClientArgs, read_bytes
from raydet.transforms.loading import LoadImageFromFile

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]
_OWN_COLUMNS = ("id", "file_name", "filename", "width", "height", "ann")


def leaves(dataset: Any) -> list[Any]:
    """The data sets inside of wrappers, each once: repeating and balancing are no part of the data."""
    if hasattr(dataset, "datasets"):
        return [leaf for each in dataset.datasets for leaf in leaves(each)]
    return leaves(dataset.dataset) if hasattr(dataset, "dataset") else [dataset]


def common_categories(parts: Sequence[Any]) -> list[dict[str, Any]]:
    """The categories of data sets, in the order of labels; ValueError when they differ."""
    found = [_categories(part) for part in parts]
    for part, categories in zip(parts, found, strict=True):
        if categories != found[0]:
            raise ValueError(f"{part.ann_file} has other categories than {parts[0].ann_file}; convert them one by one")
    return found[0]


def _categories(part: Any) -> list[dict[str, Any]]:
    if isinstance(part, CocoDataset):
        return [dict(each) for each in part._table.category_records]
    if part.CLASSES is None:
        raise ValueError(f"{part.ann_file}: the names of the classes are not known; pass classes=[...] to the data set")
    return [{"id": label, "name": name} for label, name in enumerate(part.CLASSES)]


def common_prefix(parts: Sequence[Any]) -> str:
    """The folder of all images, empty when there are several."""
    prefixes = {part.img_prefix or "" for part in parts}
    prefix = prefixes.pop()
    if prefixes or not prefix:
        return ""
    return str(prefix) if "://" in prefix else os.path.abspath(prefix)


def has_ids(parts: Sequence[Any]) -> bool:
    """Whether images and objects have ids of their own, each once."""
    return len(parts) == 1 and isinstance(parts[0], CocoDataset)


def row_of(part: Any, idx: int, layout: pa.Schema, prefix: str) -> Row:
    """One image of a data set.

    Args:
        part: the data set.
        idx: position of the image.
        layout: of the file.
        prefix: folder of all images, where names are not whole paths.
    """
    info = part.data_infos[idx]
    embedded = "image" in layout.names
    more = {key: value for key, value in info.items() if key not in _OWN_COLUMNS}
    row = {
        "id": info.get("id"),
        "file_name": info["filename"] if embedded or prefix else part.filename(idx),
        "record": _json(more) if more else None,
        **_size(part, idx),
        **(_coco_objects(part, idx) if isinstance(part, CocoDataset) else _objects(part.get_ann_info(idx))),
    }
    if embedded:
        row["image"] = read_bytes(part.filename(idx), _loader_args(part))
    return {name: row[name] for name in layout.names}


def _size(part: Any, idx: int) -> dict[str, int]:
    info = part.data_infos[idx]
    if "width" in info and "height" in info:
        return {"width": int(info["width"]), "height": int(info["height"])}
    width, height = read_image_size(part.filename(idx), _loader_args(part))
    return {"width": width, "height": height}


def _loader_args(part: Any) -> FileClientArgs:
    """Where the images of a data set lie, as its pipeline says."""
    loaders = (each for each in part.pipeline.transforms if isinstance(each, LoadImageFromFile))
    loader = next(loaders, None)
    return DISK if loader is None else loader.file_client_args


def _coco_objects(part: CocoDataset, idx: int) -> Row:
    """All annotations of an image as the file has them, used or not."""
    table, rows = part._table, part._rows(idx)
    label_of = {each["id"]: label for label, each in enumerate(table.category_records)}
    return {
        "ids": table.ids[rows].tolist(),
        "boxes": table.boxes[rows].tolist(),
        "areas": table.areas[rows].tolist(),
        "labels": [label_of[each] for each in table.categories[rows].tolist()],
        "iscrowd": table.crowd[rows].tolist(),
        "ignore": table.ignore[rows].tolist(),
        "masks": [table.segmentations.text(i).decode() or None for i in range(rows.start, rows.stop)],
    }


def _objects(ann_info: Mapping[str, Any]) -> Row:
    """The objects in what `get_ann_info` gives, and those to be ignored as crowds."""
    boxes, ignored = (_xywh(ann_info.get(key, ())) for key in ("bboxes", "bboxes_ignore"))
    labels = np.asarray(ann_info["labels"], np.int64).tolist()
    ignored_labels = np.asarray(ann_info.get("labels_ignore", ()), np.int64).tolist()
    masks: list[str | None] = [_json(_plain_mask(each)) for each in ann_info.get("masks") or ()]
    every = [*boxes, *ignored]
    return {
        "boxes": every,
        "areas": [width * height for _, _, width, height in every],
        "labels": labels + (ignored_labels if len(ignored_labels) == len(ignored) else [0] * len(ignored)),
        "iscrowd": [False] * len(boxes) + [True] * len(ignored),
        "ignore": [False] * len(every),
        "masks": (masks or [None] * len(boxes)) + [None] * len(ignored),
    }


def _xywh(boxes: Any) -> list[list[float]]:
    xyxy = np.asarray(boxes, np.float64).reshape(-1, 4)
    return np.concatenate([xyxy[:, :2], xyxy[:, 2:] - xyxy[:, :2]], axis=1).tolist()  # type: ignore[no-any-return]


def _plain_mask(mask: Any) -> Any:
    if isinstance(mask, Mapping) and isinstance(mask.get("counts"), bytes):
        return {**mask, "counts": mask["counts"].decode()}
    return mask


def _json(value: Any) -> str:
    return msgspec.json.encode(value, enc_hook=_plain).decode()


def _plain(value: Any) -> Any:
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no place in a Parquet file")
