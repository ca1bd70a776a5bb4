"""Results of a data set as rows of one flat table, and back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from pycocotools import mask as rle_tools

from raydet.structures.masks import encode_bitmaps

Row = dict[str, Any]
WHOLE = "results"
"""The part that stands for a result which has no parts."""


@dataclass(frozen=True)
class Part:
    """What the results of one kind look like.

    Attributes:
        form: "boxes" by class; "masks", boxes and masks; "rated masks", masks with scores of their own; "proposals";
            or "map", panoptic.
        num_classes: 0 where rows have no class.
    """

    form: str
    num_classes: int = 0


@dataclass(frozen=True)
class Table:
    """Results, flat.

    Attributes:
        num_images: of the data set.
        parts: by key of the result dicts; only `WHOLE` for results that are no dicts.
        rows: one per detection (of a map: per segment), by image: `part`, `image` (position), `label` (of a map: the
            value of its pixels), and where there are such `bbox` (x1, y1, x2, y2), `score`, `mask_score`,
            `segmentation` (RLE).
    """

    num_images: int
    parts: dict[str, Part]
    rows: list[Row]

    def header(self) -> dict[str, Any]:
        """All but the rows, as plain values."""
        return {"images": self.num_images, "parts": {name: asdict(part) for name, part in self.parts.items()}}

    @classmethod
    def of(cls, header: Mapping[str, Any], rows: list[Row]) -> Table:
        """From what `header` gave, and rows."""
        return cls(header["images"], {name: Part(**each) for name, each in header["parts"].items()}, rows)


def flatten(results: Sequence[Any]) -> Table:
    """2.x results, one per image, as a table.

    Raises:
        TypeError: results of an unknown form.
    """
    first = results[0] if len(results) else []
    keys = list(first) if isinstance(first, dict) else [WHOLE]
    parts = {key: _part(first[key] if isinstance(first, dict) else first) for key in keys}
    rows = [
        {"part": key, "image": image, **row}
        for image, result in enumerate(results)
        for key in keys
        for row in _ROWS[parts[key].form](result[key] if isinstance(result, dict) else result)
    ]
    return Table(len(results), parts, rows)


def rebuild(table: Table) -> list[Any]:
    """The results that `flatten` saw: arrays float32, masks RLE, maps int64."""
    by_image: dict[tuple[str, int], list[Row]] = defaultdict(list)
    for row in table.rows:
        by_image[row["part"], row["image"]].append(row)

    def of_image(image: int) -> Any:
        found = {key: _RESULTS[part.form](by_image[key, image], part.num_classes) for key, part in table.parts.items()}
        return found.get(WHOLE, found)

    return [of_image(image) for image in range(table.num_images)]


def _part(result: Any) -> Part:
    if isinstance(result, np.ndarray) and np.issubdtype(result.dtype, np.integer):
        return Part("map")
    if isinstance(result, np.ndarray):
        return Part("proposals")
    if isinstance(result, tuple):
        return Part("rated masks" if isinstance(result[1], tuple) else "masks", len(result[0]))
    if isinstance(result, list):
        return Part("boxes", len(result))
    raise TypeError(f"results of the form {type(result).__name__} have no rows; write them to a .pkl file")


def _rows_of_proposals(result: Any) -> Iterator[Row]:
    for values in np.asarray(result).tolist():
        yield {"label": 0, "bbox": values[:4], "score": values[4] if len(values) > 4 else None}


def _rows_of_boxes(result: Any) -> Iterator[Row]:
    for label, dets in enumerate(result):
        for row in _rows_of_proposals(dets):
            yield {**row, "label": label}


def _rows_of_masks(result: Any) -> Iterator[Row]:
    boxes, masks = result
    flat = [mask for of_class in masks for mask in of_class]
    for row, mask in zip(_rows_of_boxes(boxes), flat, strict=True):
        yield {**row, "segmentation": _text_rle(mask)}


def _rows_of_rated_masks(result: Any) -> Iterator[Row]:
    boxes, (masks, scores) = result
    flat = [float(score) for of_class in scores for score in of_class]
    for row, score in zip(_rows_of_masks((boxes, masks)), flat, strict=True):
        yield {**row, "mask_score": score}


def _rows_of_map(result: Any) -> Iterator[Row]:
    for value in np.unique(result).tolist():
        yield {"label": value, "segmentation": _text_rle(result == value)}


_ROWS = {
    "boxes": _rows_of_boxes,
    "masks": _rows_of_masks,
    "rated masks": _rows_of_rated_masks,
    "proposals": _rows_of_proposals,
    "map": _rows_of_map,
}


def _text_rle(mask: Any) -> dict[str, Any]:
    if not isinstance(mask, Mapping):
        [mask] = encode_bitmaps([mask])
    counts = mask["counts"]
    return {
        "size": [int(side) for side in mask["size"]],
        "counts": counts.decode() if isinstance(counts, bytes) else counts,
    }


def _dets(rows: Sequence[Row]) -> np.ndarray:
    values = [[*row["bbox"], *([] if row["score"] is None else [row["score"]])] for row in rows]
    return np.array(values, np.float32) if values else np.zeros((0, 5), np.float32)


def _by_label(rows: Sequence[Row], num_classes: int) -> list[list[Row]]:
    groups: list[list[Row]] = [[] for _ in range(num_classes)]
    for row in rows:
        groups[row["label"]].append(row)
    return groups


def _proposals_of(rows: Sequence[Row], num_classes: int) -> np.ndarray:
    return _dets(rows)


def _boxes_of(rows: Sequence[Row], num_classes: int) -> list[np.ndarray]:
    return [_dets(group) for group in _by_label(rows, num_classes)]


def _masks_of(rows: Sequence[Row], num_classes: int) -> tuple[Any, Any]:
    masks = [[_bytes_rle(row) for row in group] for group in _by_label(rows, num_classes)]
    return _boxes_of(rows, num_classes), masks


def _rated_masks_of(rows: Sequence[Row], num_classes: int) -> tuple[Any, Any]:
    boxes, masks = _masks_of(rows, num_classes)
    scores = [np.array([row["mask_score"] for row in group], np.float32) for group in _by_label(rows, num_classes)]
    return boxes, (masks, scores)


def _map_of(rows: Sequence[Row], num_classes: int) -> np.ndarray:
    result = np.zeros(rows[0]["segmentation"]["size"], np.int64)
    for row in rows:
        result[rle_tools.decode(_bytes_rle(row)).astype(bool)] = row["label"]
    return result


def _bytes_rle(row: Row) -> dict[str, Any]:
    rle = row["segmentation"]
    return {"size": list(rle["size"]), "counts": rle["counts"].encode()}


_RESULTS = {
    "boxes": _boxes_of,
    "masks": _masks_of,
    "rated masks": _rated_masks_of,
    "proposals": _proposals_of,
    "map": _map_of,
}
