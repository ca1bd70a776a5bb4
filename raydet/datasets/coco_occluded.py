"""COCO with lists of occluded and separated objects (arXiv:2210.10046)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from raydet.datasets.coco import CocoDataset
from raydet.datasets.files import load_records

_LISTS = "https://www.robots.ox.ac.uk/~vgg/research/tpod/datasets"


class OccludedSeparatedCocoDataset(CocoDataset):
    """COCO, also evaluated by the recall of objects that others hide in part, or cut into pieces.

    Args:
        args: as for `CocoDataset`.
        occluded_ann: `.json` or `.pkl` list of `(image file, class name, annotation id, [x, y, w, h], RLE)`; a path,
            below `data_root` unless absolute, or a URL.
        separated_ann: the same for separated objects.
        kwargs: as for `CocoDataset`.
    """

    METRIC = "occluded"

    def __init__(
        self,
        *args: Any,
        occluded_ann: str = f"{_LISTS}/occluded_coco.pkl",
        separated_ann: str = f"{_LISTS}/separated_coco.pkl",
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.occluded_ann = self._load_list(occluded_ann)
        self.separated_ann = self._load_list(separated_ann)

    def _load_list(self, path: str) -> Any:
        client = {"backend": "http"} if path.startswith("http") else self.file_client_args
        return load_records(self._below_root(path), client)

    def evaluate(  # type: ignore[override]
        self,
        results: Sequence[Any],
        metric: str | Sequence[str] = (),
        score_thr: float = 0.3,
        iou_thr: float = 0.75,
        logger: logging.Logger | str | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Evaluate results.

        Args:
            results: per image (boxes by class, masks by class).
            metric: COCO metrics to compute besides, see `CocoDataset.evaluate`.
            score_thr: detections count that score at least this.
            iou_thr: an object is found by a mask of its class that overlaps so much at least.
            logger: where tables go.
            kwargs: more arguments of `CocoDataset.evaluate`.

        Returns:
            `occluded_recall` and `separated_recall` in percent, and the COCO metrics.
        """
        return self._score(results, metric=metric, score_thr=score_thr, iou_thr=iou_thr, logger=logger, **kwargs)
