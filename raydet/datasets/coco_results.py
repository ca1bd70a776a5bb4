"""2.x results as columns, and as rows of COCO result files."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence, Sized
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

Rows = list[dict[str, Any]]


def xyxy2xywh(bbox: Any) -> list[float]:
    """One box of the form x1, y1, x2, y2 as x, y, width, height."""
    x1, y1, x2, y2 = (float(value) for value in bbox[:4])
    return [x1, y1, x2 - x1, y2 - y1]


class Columns(NamedTuple):
    """Detections of many images; D of them.

    Attributes:
        image_ids: `(D,)`, ids as the annotation file has them.
        category_ids: `(D,)`, ditto.
        boxes: `(D, 4)` float64 x, y, width, height.
        scores: `(D,)` float64.
        masks: D RLE dicts, or None.
    """

    image_ids: np.ndarray
    category_ids: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    masks: list[Any] | None = None

    def rows(self) -> Rows:
        """The detections as a COCO result file has them."""
        columns = (self.image_ids, self.boxes, self.scores, self.category_ids)
        names = ("image_id", "bbox", "score", "category_id")
        rows = [dict(zip(names, each, strict=True)) for each in zip(*(c.tolist() for c in columns), strict=True)]
        if self.masks is None:
            return rows
        return [{**row, "segmentation": _text_rle(mask)} for row, mask in zip(rows, self.masks, strict=True)]


def proposal_columns(image_ids: Sequence[int], results: Sequence[Any]) -> Columns:
    """Proposals, `(R, 5)` per image, as objects of category 1."""
    return box_columns(image_ids, [1], [[dets] for dets in results])


def box_columns(image_ids: Sequence[int], category_ids: Sequence[int], results: Sequence[Any]) -> Columns:
    """Boxes, per image a list of `(D, 5)` by class.

    Raises:
        ValueError: there are more classes than category ids.
    """
    num_classes = np.array([len(classes) for classes in results], np.int64)
    if num_classes.max(initial=0) > len(category_ids):
        raise ValueError(
            f"the results have {num_classes.max()} classes but the annotation file has {len(category_ids)} of the data "
            "set's classes; make num_classes of the model and classes of the data set agree"
        )
    by_class = [dets for classes in results for dets in classes]
    counts = np.array([len(dets) for dets in by_class], np.int64)
    labels = np.arange(len(by_class)) - np.repeat(np.cumsum(num_classes) - num_classes, num_classes)
    # float64 before any arithmetic, as in result files
    dets = np.concatenate([np.zeros((0, 5)), *(each for each in by_class if len(each))])
    return Columns(
        image_ids=np.repeat(np.repeat(np.asarray(image_ids), num_classes), counts),
        category_ids=np.repeat(np.asarray(category_ids)[labels], counts),
        boxes=np.concatenate([dets[:, :2], dets[:, 2:4] - dets[:, :2]], axis=1),
        scores=dets[:, 4],
    )


def mask_columns(image_ids: Sequence[int], category_ids: Sequence[int], results: Sequence[Any]) -> Columns:
    """Masks, per image (boxes by class, masks by class) or (boxes, (masks, mask scores)).

    Raises:
        ValueError: there are not as many masks as boxes, or more classes than category ids.
    """
    columns = box_columns(image_ids, category_ids, [boxes for boxes, _ in results])
    pairs = [masks if isinstance(masks, tuple) else (masks, [dets[:, 4] for dets in boxes]) for boxes, masks in results]
    masks = [mask for by_class, _ in pairs for of_class in by_class for mask in of_class]
    if len(masks) != len(columns.scores):
        raise ValueError(f"the results have {len(masks)} masks for {len(columns.scores)} boxes; expected one for each")
    scores = [of_class for _, by_class in pairs for of_class in by_class if len(of_class)]
    return columns._replace(masks=masks, scores=np.concatenate([np.zeros(0), *scores]))


def proposal_rows(image_ids: Sequence[int], results: Sequence[Any]) -> Rows:
    """Rows of proposals, `(R, 5)` per image."""
    return proposal_columns(image_ids, results).rows()


def box_rows(image_ids: Sequence[int], category_ids: Sequence[int], results: Sequence[Any]) -> Rows:
    """Rows of boxes, per image a list of `(D, 5)` by class."""
    return box_columns(image_ids, category_ids, results).rows()


def mask_rows(image_ids: Sequence[int], category_ids: Sequence[int], results: Sequence[Any]) -> Rows:
    """Rows of masks, per image (boxes by class, masks by class) or (boxes, (masks, mask scores))."""
    return mask_columns(image_ids, category_ids, results).rows()


def _text_rle(mask: Mapping[str, Any]) -> dict[str, Any]:
    counts = mask["counts"]
    return {**mask, "counts": counts.decode() if isinstance(counts, bytes) else counts}


def destination(
    dataset: Sized, results: Sequence[Any], prefix: str | None
) -> tuple[str, tempfile.TemporaryDirectory[str] | None]:
    """Where the files of the results of a whole data set go: `prefix`, or in a temporary folder, which is given too.

    Raises:
        ValueError: there are more or fewer results than images.
    """
    if len(results) != len(dataset):
        raise ValueError(f"{len(results)} results for {len(dataset)} images; expected one for each image")
    if prefix is not None:
        return prefix, None
    folder = tempfile.TemporaryDirectory()
    return f"{folder.name}/results", folder


def write_rows(rows: Rows, path: str) -> str:
    """Write rows to a JSON file and return its path."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(json.dumps(rows))
    return path
