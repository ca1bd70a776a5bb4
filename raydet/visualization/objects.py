"""What is to be drawn on an image, read from any form of result or annotation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools import mask as rle_tools

from raydet.structures import BitmapMasks, Detections
from raydet.structures.masks import encode_bitmaps


@dataclass(frozen=True)
class Objects:
    """Boxes with what belongs to them.

    Attributes:
        boxes: `(D, 4)` xyxy in pixels.
        labels: `(D,)` class of each, -1 for proposals, which have none.
        scores: `(D,)` in [0, 1], or None for ground truth.
        masks: D bool arrays of the size of the image, or None.
    """

    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray | None = None
    masks: list[np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self.boxes)

    def records(self, classes: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """Plain dicts, best first: bbox (xyxy), and where known label, class, score and segmentation (RLE)."""
        names = names_of(self.labels, classes)
        rows = []
        for i in reversed(range(len(self))):
            row: dict[str, Any] = {"bbox": [round(float(value), 2) for value in self.boxes[i]]}
            if self.labels[i] >= 0:
                row |= {"label": int(self.labels[i]), "class": names[i]}
            if self.scores is not None:
                row["score"] = round(float(self.scores[i]), 4)
            if self.masks is not None:
                row["segmentation"] = _encoded(self.masks[i])
            rows.append(row)
        return rows


def objects_from_result(result: Any, score_thr: float = 0.0) -> Objects:
    """Detections of one image that score at least `score_thr`, best last so that it is drawn on top.

    Args:
        result: K arrays `(D, 5)`; a pair of them and K lists of masks (bool arrays or RLE; mask scores beside them
            are left out, and boxes that are all zero are laid around the masks); an array `(R, 4)` or `(R, 5)` of
            proposals; or `Detections`.
        score_thr: in [0, 1]; proposals without scores all stay.

    Raises:
        TypeError: none of these.
    """
    boxes, scores, labels, masks = _columns(result)
    chosen = np.flatnonzero(scores >= score_thr)
    chosen = chosen[np.argsort(scores[chosen], kind="stable")]
    decoded = None if masks is None else [_decoded(masks[i]) for i in chosen]
    places = boxes[chosen]
    if decoded and not places.any():  # of a detector that finds masks alone
        places = BitmapMasks(decoded, *decoded[0].shape).get_bboxes()
    return Objects(places, labels[chosen], scores[chosen], decoded)


def _columns(result: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[Any] | None]:
    """Boxes, scores, labels and raw masks."""
    if isinstance(result, Detections):
        masks = None if result.masks is None else list(result.masks)
        boxes, scores, labels = (each.detach().cpu().numpy() for each in (result.boxes, result.scores, result.labels))
        return boxes, scores, labels, masks
    masks = None
    if isinstance(result, tuple):
        result, by_class = result
        by_class = by_class[0] if isinstance(by_class, tuple) else by_class
        masks = [mask for of_class in by_class for mask in of_class]
    if isinstance(result, list):
        labels = np.repeat(np.arange(len(result)), [len(rows) for rows in result])
        rows = np.concatenate([np.asarray(rows).reshape(-1, 5) for rows in result] or [np.zeros((0, 5))])
    elif isinstance(result, np.ndarray) and result.ndim == 2 and result.shape[1] in (4, 5):
        labels, rows = np.full(len(result), -1), result
    else:
        raise TypeError(
            "expected a result: a list of arrays (D, 5), a pair (boxes, masks) or an array of proposals (R, 4 or 5), "
            f"got {type(result).__name__}"
        )
    scores = rows[:, 4] if rows.shape[1] == 5 else np.ones(len(rows))
    return rows[:, :4], scores, labels, masks


def objects_from_annotation(annotation: Mapping[str, Any], height: int, width: int) -> Objects:
    """Ground truth of one image as a data set's `get_ann_info` gives it; masks may be polygons or RLE."""
    masks = annotation.get("masks")
    if masks is not None and any(mask is None for mask in masks):
        masks = None  # a data set of boxes
    return Objects(
        np.asarray(annotation["bboxes"], dtype=np.float32).reshape(-1, 4),
        np.asarray(annotation["labels"]),
        masks=None if masks is None else [_decoded(mask, height, width) for mask in masks],
    )


def _decoded(mask: Any, height: int = 0, width: int = 0) -> np.ndarray:
    """A mask given as array, RLE (compressed or not) or polygons, as a bool array."""
    if isinstance(mask, Mapping) and isinstance(mask["counts"], list):
        mask = rle_tools.frPyObjects(dict(mask), *mask["size"])
    elif isinstance(mask, list):
        mask = rle_tools.merge(rle_tools.frPyObjects(mask, height, width))
    decoded: np.ndarray = (rle_tools.decode(mask) if isinstance(mask, Mapping) else np.asarray(mask)).astype(bool)
    return decoded


def _encoded(mask: np.ndarray) -> dict[str, Any]:
    [code] = encode_bitmaps([mask])
    return {**code, "counts": code["counts"].decode()}


def names_of(labels: Iterable[int], classes: Sequence[str] | None) -> list[str]:
    """Class names of labels; the number where there is no name, nothing for proposals."""
    known = classes or ()
    return ["" if k < 0 else known[k] if k < len(known) else str(k) for k in map(int, labels)]
