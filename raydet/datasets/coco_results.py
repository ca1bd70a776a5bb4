"""2.x results as rows of COCO result files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Rows = list[dict[str, Any]]


def xyxy2xywh(bbox: Any) -> list[float]:
    """One box of the form x1, y1, x2, y2 as x, y, width, height."""
    x1, y1, x2, y2 = (float(value) for value in bbox[:4])
    return [x1, y1, x2 - x1, y2 - y1]


def _boxes(image_id: int, dets: Any, category_id: int) -> Rows:
    """Rows of `dets` `(D, 5)`."""
    dets = np.asarray(dets)
    xywh = np.concatenate([dets[:, :2], dets[:, 2:4] - dets[:, :2]], axis=1).tolist()
    scores = dets[:, 4].tolist()
    return [
        {"image_id": image_id, "bbox": box, "score": score, "category_id": category_id}
        for box, score in zip(xywh, scores, strict=True)
    ]


def proposal_rows(image_ids: Sequence[int], results: Sequence[Any]) -> Rows:
    """Rows of proposals, `(R, 5)` per image."""
    pairs = zip(image_ids, results, strict=True)
    return [row for image_id, dets in pairs for row in _boxes(image_id, dets, 1)]


def box_rows(image_ids: Sequence[int], category_ids: Sequence[int], results: Sequence[Any]) -> Rows:
    """Rows of boxes, per image a list of `(D, 5)` by class."""
    return [
        row
        for image_id, classes in zip(image_ids, results, strict=True)
        for category_id, dets in _by_class(category_ids, classes)
        for row in _boxes(image_id, dets, category_id)
    ]


def mask_rows(image_ids: Sequence[int], category_ids: Sequence[int], results: Sequence[Any]) -> Rows:
    """Rows of masks, per image (boxes by class, masks by class) or (boxes, (masks, mask scores))."""
    rows = []
    for image_id, (boxes, masks) in zip(image_ids, results, strict=True):
        masks, scores = masks if isinstance(masks, tuple) else (masks, [dets[:, 4] for dets in boxes])
        for label, (category_id, dets) in enumerate(_by_class(category_ids, boxes)):
            found = _boxes(image_id, dets, category_id)
            for row, mask, score in zip(found, masks[label], scores[label], strict=True):
                rows.append({**row, "score": float(score), "segmentation": _text_rle(mask)})
    return rows


def _by_class(category_ids: Sequence[int], classes: Sequence[Any]) -> Iterator[tuple[int, Any]]:
    if len(classes) > len(category_ids):
        raise ValueError(
            f"the results have {len(classes)} classes but the annotation file has {len(category_ids)} of the data "
            "set's classes; make num_classes of the model and classes of the data set agree"
        )
    return zip(category_ids, classes, strict=False)


def _text_rle(mask: Mapping[str, Any]) -> dict[str, Any]:
    counts = mask["counts"]
    return {**mask, "counts": counts.decode() if isinstance(counts, bytes) else counts}


def write_rows(rows: Rows, path: str) -> str:
    """Write rows to a JSON file and return its path."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(json.dumps(rows))
    return path
