"""The COCO matching and accumulation behind `evaluate_coco`: the one place that knows which library does it.

A faster engine replaces `compute_curves`; everything else reads only `Curves`.
"""

from __future__ import annotations

import contextlib
import io
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools import mask as rle_tools
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

Row = Mapping[str, Any]
"""One detection of a COCO result file: image_id, category_id, score and bbox (xywh) or segmentation (RLE)."""


@dataclass(frozen=True)
class Request:
    """What to compute.

    Attributes:
        iou_type: "bbox" or "segm".
        image_ids: images that count.
        category_ids: categories that count, K of them.
        iou_thrs: `(T,)` overlaps in (0, 1].
        max_dets: M numbers of detections per image and category that count, ascending.
        use_categories: False treats all categories as one, as for proposals.
    """

    iou_type: str
    image_ids: Sequence[int]
    category_ids: Sequence[int]
    iou_thrs: np.ndarray
    max_dets: Sequence[int]
    use_categories: bool = True


@dataclass(frozen=True)
class Curves:
    """What came out; -1 where there is no ground truth. A is the areas all, small, medium and large.

    Attributes:
        precision: `(T, 101, K, A, M)` at recalls 0, 0.01, ... 1.
        recall: `(T, K, A, M)`.
    """

    precision: np.ndarray
    recall: np.ndarray


def compute_curves(ground_truth: COCO, detections: Sequence[Row], request: Request) -> Curves:
    """Match detections to ground truths and accumulate, with pycocotools.

    Args:
        ground_truth: annotations; left as they are.
        detections: rows of a COCO result file.
        request: what to compute.
    """
    truths = _Annotations([dict(ann) for ann in ground_truth.loadAnns(ground_truth.getAnnIds())], ground_truth)
    found = _Annotations(_as_annotations(detections, request.iou_type), ground_truth)
    engine = COCOeval(iouType=request.iou_type)
    engine.cocoGt, engine.cocoDt = truths, found
    engine.params.imgIds = list(request.image_ids)
    engine.params.catIds = list(request.category_ids)
    engine.params.iouThrs = request.iou_thrs
    engine.params.maxDets = list(request.max_dets)
    engine.params.useCats = int(request.use_categories)
    with contextlib.redirect_stdout(io.StringIO()):  # it reports its progress with print
        engine.evaluate()
        engine.accumulate()
    return Curves(engine.eval["precision"], engine.eval["recall"])


def _as_annotations(rows: Sequence[Row], iou_type: str) -> list[dict[str, Any]]:
    """Rows with the fields that matching reads; sizes come from masks for masks, from boxes for boxes."""
    if iou_type == "segm":
        # one at a time: pycocotools 2.0.11 fails on lists of more than 255 masks with numpy 2
        areas = [float(rle_tools.area(row["segmentation"])) for row in rows]
    else:
        areas = [row["bbox"][2] * row["bbox"][3] for row in rows]
    return [
        {**row, "id": i, "area": area, "iscrowd": 0} for i, (row, area) in enumerate(zip(rows, areas, strict=True), 1)
    ]


class _Annotations:
    """The part of `COCO` that the matching reads, over rows that it may write to."""

    def __init__(self, rows: Iterable[dict[str, Any]], ground_truth: COCO) -> None:
        self.annToRLE = ground_truth.annToRLE
        self._by_image: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for row in rows:
            self._by_image[row["image_id"]].append(row)

    def getAnnIds(self, imgIds: Sequence[int], catIds: Sequence[int] | None = None) -> list[dict[str, Any]]:  # noqa: N802, N803
        wanted = None if catIds is None else set(catIds)
        rows = (row for image_id in imgIds for row in self._by_image.get(image_id, ()))
        return [row for row in rows if wanted is None or row["category_id"] in wanted]

    def loadAnns(self, ids: list[dict[str, Any]]) -> list[dict[str, Any]]:  # noqa: N802
        return ids
