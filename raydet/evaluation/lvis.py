"""The metrics of LVIS (arXiv:1908.03195).

Nobody marked all objects of all of its many classes in every image. Each image has classes that it shows, classes that
people looked for in vain, and classes of which only some objects are marked; detections of any other class say nothing,
and those of the last kind are not wrong where they match nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np

from raydet.evaluation.coco import CocoMeasure
from raydet.evaluation.coco_columns import Found, Truths, take, truths_of
from raydet.evaluation.coco_engine import Curves, accumulate
from raydet.evaluation.coco_matching import Matches, Request, match_shard
from raydet.evaluation.coco_shares import evaluate_whole
from raydet.evaluation.coco_summary import AREAS, chosen, classwise_table, mean_of_measured
from raydet.evaluation.report import Logger, say, text_table

MAX_DETS = 300


class Item(NamedTuple):
    """One of the numbers: a mean of precision (AP) or recall (AR).

    Attributes:
        kind: "AP" or "AR".
        iou: one overlap, or None for all that were asked for.
        area: one of `AREAS`.
        frequency: "r", "c" or "f" for rare, common or frequent classes, None for all.
    """

    kind: str
    iou: float | None = None
    area: str = "all"
    frequency: str | None = None


ITEMS = {
    "AP": Item("AP"),
    "AP50": Item("AP", iou=0.5),
    "AP75": Item("AP", iou=0.75),
    "APs": Item("AP", area="small"),
    "APm": Item("AP", area="medium"),
    "APl": Item("AP", area="large"),
    "APr": Item("AP", frequency="r"),
    "APc": Item("AP", frequency="c"),
    "APf": Item("AP", frequency="f"),
    f"AR@{MAX_DETS}": Item("AR"),
    f"ARs@{MAX_DETS}": Item("AR", area="small"),
    f"ARm@{MAX_DETS}": Item("AR", area="medium"),
    f"ARl@{MAX_DETS}": Item("AR", area="large"),
}


def evaluate_lvis(
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
    """Evaluate the results of a whole data set in the way of LVIS: the best 300 detections of each image count.

    Args:
        dataset: as for `evaluate_coco`; its records of images have `neg_category_ids` and
            `not_exhaustive_category_ids`, its categories a `frequency`.
        results: one 2.x result per image.
        metric: any of "bbox", "segm", "proposal" (recall whatever the class) and "proposal_fast".
        logger: where tables go.
        jsonfile_prefix: also write the results to `<prefix>.bbox.json` and so on.
        classwise: also print the AP of each class.
        proposal_nums: numbers of proposals, for "proposal_fast".
        iou_thrs: overlaps to average over; 0.5, 0.55, ... 0.95 when left out.
        metric_items: which of `ITEMS` to return; the nine APs, or for "proposal" the four ARs, when left out.

    Returns:
        `bbox_AP`, `bbox_AP50`, ..., rounded to four digits, -1 where nothing could be measured, and
        `bbox_mAP_copypaste`, the same as text; `AR@300` and so on for "proposal".

    Raises:
        KeyError: unknown metric or metric item, or the results lack what a metric needs.
        ValueError: the results do not belong to the data set.
    """
    measure = LvisMeasure(dataset, logger, classwise, proposal_nums, iou_thrs, metric_items)
    return evaluate_whole(measure, results, metric, jsonfile_prefix)


@dataclass(frozen=True)
class LvisMeasure(CocoMeasure):
    """The way of LVIS to measure; the arguments are those of `evaluate_lvis`."""

    items: ClassVar[Mapping[str, Any]] = ITEMS

    def match(self, metric: str, found: Found, image_ids: Sequence[int]) -> Matches:
        """Match the detections of some images."""
        request = self._request(metric, image_ids)
        truths = truths_of(self.dataset.annotations, request.iou_type, image_ids)
        nothing = np.zeros(len(truths), bool)
        truths = replace(truths, crowd=nothing, ignored=nothing)  # LVIS knows neither
        # the LVIS package takes the size of a detection from its box, also when masks are compared
        found = _best_of_each_image(replace(found, areas=found.boxes[:, 2] * found.boxes[:, 3]), MAX_DETS)
        if request.use_categories:
            places = {number: place for place, number in enumerate(self.dataset.img_ids)}
            found = _federated(found, truths, {each: self.dataset.data_infos[places[each]] for each in image_ids})
        else:  # proposals have no class: whatever number their rows were written with, they count
            found = replace(found, categories=np.full(len(found), request.category_ids[0]))
        return match_shard(truths, found, request)

    def scores(self, metric: str, matches: Matches) -> dict[str, Any]:
        """The numbers out of the matches of all images."""
        request = self._request(metric, self.dataset.img_ids)
        curves = accumulate(matches, request)
        summary = _summarize(curves, request, _frequencies(self.dataset, request))
        row = [metric, *(f"{each:.4f}" for each in summary.values())]
        say("\n" + text_table(["metric", *summary], [row]), self.logger)
        if self.classwise and request.use_categories:
            say("\n" + classwise_table(self.dataset, curves), self.logger)
        return chosen(summary, metric, self._items, self.items, named=True)

    @property
    def _max_dets(self) -> Sequence[int]:
        return [MAX_DETS]


def _best_of_each_image(found: Found, count: int) -> Found:
    order = np.lexsort((-found.scores, found.images))
    images = found.images[order]
    rank = np.arange(len(order)) - np.searchsorted(images, images)
    return take(found, np.sort(order[rank < count]))


def _federated(found: Found, truths: Truths, images: Mapping[int, Mapping[str, Any]]) -> Found:
    """Detections of classes that people looked for in the image; those that only some objects are marked of are spared.

    Args:
        found: the detections.
        truths: the objects.
        images: records of the images by their id.
    """
    absent = _pairs((i, k) for i, image in images.items() for k in image.get("neg_category_ids", ()))
    partial = _pairs((i, k) for i, image in images.items() for k in image.get("not_exhaustive_category_ids", ()))
    present = _keys(truths.images, truths.categories)
    looked_for = np.isin(_keys(found.images, found.categories), np.concatenate([present, absent]))
    found = take(found, np.flatnonzero(looked_for))
    return replace(found, spared=np.isin(_keys(found.images, found.categories), partial))


def _pairs(pairs: Iterable[tuple[int, int]]) -> np.ndarray:
    images, categories = np.array(list(pairs), np.int64).reshape(-1, 2).T
    return _keys(images, categories)


def _keys(images: np.ndarray, categories: np.ndarray) -> np.ndarray:
    """One number for each pair; LVIS has far fewer categories than 2 ** 20."""
    keys: np.ndarray = (images.astype(np.int64) << 20) + categories
    return keys


def _frequencies(dataset: Any, request: Request) -> np.ndarray:
    """`(K,)` "r", "c" or "f" of each category, in the order of the curves."""
    ordered = sorted(request.category_ids) if request.use_categories else request.category_ids[:1]
    return np.array([category.get("frequency", "") for category in dataset.coco.loadCats(list(ordered))])


def _summarize(curves: Curves, request: Request, frequencies: np.ndarray) -> dict[str, float]:
    return {name: round(_measure(item, curves, request, frequencies), 4) for name, item in ITEMS.items()}


def _measure(item: Item, curves: Curves, request: Request, frequencies: np.ndarray) -> float:
    values = (curves.precision if item.kind == "AP" else curves.recall)[..., AREAS.index(item.area), -1]
    if item.iou is not None:
        values = values[np.isclose(request.iou_thrs, item.iou)]
    if item.frequency is not None:
        values = values[..., frequencies == item.frequency]
    return mean_of_measured(values)
