"""COCO metrics: AP and AR of boxes, masks and proposals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from raydet.evaluation.coco_columns import Found, truths_of
from raydet.evaluation.coco_engine import accumulate
from raydet.evaluation.coco_matching import Matches, Request, match_shard
from raydet.evaluation.coco_shares import evaluate_whole, known, thresholds
from raydet.evaluation.coco_summary import ITEMS, chosen, classwise_table, describe, summarize
from raydet.evaluation.recall import eval_recalls
from raydet.evaluation.report import Logger, say


def evaluate_coco(
    dataset: Any,
    results: Sequence[Any],
    metric: str | Sequence[str] = "bbox",
    logger: Logger = None,
    jsonfile_prefix: str | None = None,
    classwise: bool = False,
    proposal_nums: Sequence[int] = (100, 300, 1000),
    iou_thrs: float | Sequence[float] | np.ndarray | None = None,
    metric_items: str | Sequence[str] | None = None,
) -> dict[str, Any]:
    """Evaluate the results of a whole data set in COCO's way.

    Args:
        dataset: has `annotations`, `coco`, `img_ids`, `cat_ids` and `CLASSES`, as `CocoDataset` does.
        results: one 2.x result per image.
        metric: any of "bbox", "segm", "proposal" and "proposal_fast".
        logger: where tables go.
        jsonfile_prefix: also write the results to `<prefix>.bbox.json` and so on.
        classwise: also print the AP of each class.
        proposal_nums: numbers of detections per image that count; three of them, ascending.
        iou_thrs: overlaps to average over; 0.5, 0.55, ... 0.95 when left out.
        metric_items: which of the twelve COCO numbers to return; the usual six when left out.

    Returns:
        `bbox_mAP`, `bbox_mAP_50`, ..., rounded to four digits, -1 where nothing could be measured, and
        `bbox_mAP_copypaste`, the same as text. For "proposal" and "proposal_fast" `AR@100` and so on. Nothing for
        metrics of which there are no detections at all.

    Raises:
        KeyError: unknown metric or metric item, or the results lack what a metric needs.
        ValueError: the results do not belong to the data set.
    """
    measure = CocoMeasure(dataset, logger, classwise, proposal_nums, iou_thrs, metric_items)
    return evaluate_whole(measure, results, metric, jsonfile_prefix)


@dataclass(frozen=True)
class CocoMeasure:
    """COCO's way to measure; the arguments are those of `evaluate_coco`."""

    items: ClassVar[Mapping[str, Any]] = ITEMS
    """The numbers by name, each with its `kind`, "AP" or "AR"."""

    dataset: Any
    logger: Logger = None
    classwise: bool = False
    proposal_nums: Sequence[int] = (100, 300, 1000)
    iou_thrs: Any = None
    metric_items: str | Sequence[str] | None = None

    def __post_init__(self) -> None:
        known(self._items, self.items, "metric item")

    def match(self, metric: str, found: Found, image_ids: Sequence[int]) -> Matches:
        """Match the detections of some images."""
        request = self._request(metric, image_ids)
        truths = truths_of(self.dataset.annotations, request.iou_type, image_ids)
        return match_shard(truths, _countable(found, request), request)

    def scores(self, metric: str, matches: Matches) -> dict[str, Any]:
        """The numbers out of the matches of all images."""
        request = self._request(metric, self.dataset.img_ids)
        curves = accumulate(matches, request)
        # 2.x finds single overlaps only in its default grid or in an array; with a list mAP_50 and mAP_75 are -1.
        single_overlaps = self.iou_thrs is None or isinstance(self.iou_thrs, np.ndarray)
        summary = summarize(curves, request, single_overlaps)
        say("\n" + describe(summary, request), self.logger)
        if self.classwise and metric != "proposal":
            say("\n" + classwise_table(self.dataset, curves), self.logger)
        return chosen(summary, metric, self._items, self.items)

    def fast_recall(self, results: Sequence[Any]) -> dict[str, Any]:
        """Average recall without classes and without the COCO matching."""
        if len(results) and not isinstance(results[0], np.ndarray):
            raise KeyError(
                "proposal_fast is for proposals, an array per image; take metric='proposal' for other results"
            )
        truths = [_boxes_to_find(self.dataset.coco, image_id) for image_id in self.dataset.img_ids]
        recalls = eval_recalls(truths, results, self.proposal_nums, thresholds(self.iou_thrs), logger="silent")
        means = zip(self.proposal_nums, recalls.mean(axis=1), strict=True)
        scores = {f"AR@{num}": float(value) for num, value in means}
        say("".join(f"\n{name}\t{value:.4f}" for name, value in scores.items()), self.logger)
        return scores

    @property
    def _items(self) -> Sequence[str]:
        return [self.metric_items] if isinstance(self.metric_items, str) else self.metric_items or ()

    @property
    def _max_dets(self) -> Sequence[int]:
        """How many detections of an image count, ascending."""
        if len(self.proposal_nums) < 3:
            raise ValueError(f"COCO takes three proposal_nums, such as (100, 300, 1000), got {self.proposal_nums}")
        return sorted(self.proposal_nums)

    def _request(self, metric: str, image_ids: Sequence[int]) -> Request:
        return Request(
            iou_type="segm" if metric == "segm" else "bbox",
            image_ids=image_ids,
            category_ids=self.dataset.cat_ids,
            iou_thrs=thresholds(self.iou_thrs),
            max_dets=self._max_dets,
            use_categories=metric != "proposal",
        )


def _boxes_to_find(coco: Any, image_id: int) -> np.ndarray:
    annotations = coco.loadAnns(coco.getAnnIds(imgIds=[image_id]))
    boxes = [ann["bbox"] for ann in annotations if not (ann.get("ignore", False) or ann.get("iscrowd", 0))]
    xywh = np.array(boxes, dtype=np.float32).reshape(-1, 4)
    return np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)


def _countable(found: Found, request: Request) -> Found:
    """Proposals have no class: whatever number they were given, they count."""
    if request.use_categories:
        return found
    counted = np.isin(found.categories, request.category_ids)
    return replace(found, categories=np.where(counted, found.categories, request.category_ids[0]))
