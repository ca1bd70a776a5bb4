"""The twelve numbers of COCO out of its precision and recall curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from raydet.evaluation.coco_engine import Curves
from raydet.evaluation.coco_matching import Request
from raydet.evaluation.report import class_table

AREAS = ("all", "small", "medium", "large")


class Item(NamedTuple):
    """One of the numbers: a mean of precision (AP) or recall (AR).

    Attributes:
        kind: "AP" or "AR".
        iou: one overlap, or None for all that were asked for.
        area: one of `AREAS`.
        rank: which of the three numbers of detections counts, or None for 100 detections.
    """

    kind: str
    iou: float | None = None
    area: str = "all"
    rank: int | None = 2


# The overall AP takes 100 detections per image and class, all the others the largest number asked for.
ITEMS = {
    "mAP": Item("AP", rank=None),
    "mAP_50": Item("AP", iou=0.5),
    "mAP_75": Item("AP", iou=0.75),
    "mAP_s": Item("AP", area="small"),
    "mAP_m": Item("AP", area="medium"),
    "mAP_l": Item("AP", area="large"),
    "AR@100": Item("AR", rank=0),
    "AR@300": Item("AR", rank=1),
    "AR@1000": Item("AR"),
    "AR_s@1000": Item("AR", area="small"),
    "AR_m@1000": Item("AR", area="medium"),
    "AR_l@1000": Item("AR", area="large"),
}
"""The numbers by their 2.x names, AP first."""


def summarize(curves: Curves, request: Request, single_overlaps: bool = True) -> dict[str, float]:
    """The numbers by name, rounded to four digits; -1 where there is nothing to measure.

    Args:
        curves: what the matching gave.
        request: what it was asked for.
        single_overlaps: False leaves the numbers of one overlap unmeasured.
    """
    return {name: round(measure(item, curves, request, single_overlaps), 4) for name, item in ITEMS.items()}


def measure(item: Item, curves: Curves, request: Request, single_overlaps: bool = True) -> float:
    """One of the numbers; -1 where there is nothing to measure. See `summarize`."""
    counts = np.asarray(request.max_dets)
    of_count = counts == 100 if item.rank is None else np.arange(len(counts)) == item.rank
    values = (curves.precision if item.kind == "AP" else curves.recall)[..., AREAS.index(item.area), of_count]
    if item.iou is not None:
        values = values[(request.iou_thrs == item.iou) & single_overlaps]
    return mean_of_measured(values)


def mean_of_measured(values: np.ndarray, nothing: float = -1.0) -> float:
    """Mean of the values that are not -1, or `nothing`."""
    measured = values[values > -1]
    return float(measured.mean()) if measured.size else nothing


def chosen(
    summary: Mapping[str, float], metric: str, items: Sequence[str], known: Mapping[str, Any], named: bool = False
) -> dict[str, Any]:
    """The numbers that an evaluation returns, by metric and name.

    Args:
        summary: all numbers.
        metric: "proposal" has recalls, any other precisions, which are also given as one text.
        items: names of those wanted; none for all of the kind.
        known: `Item` or the like of each name.
        named: whether the text has the names.
    """
    kind = "AR" if metric == "proposal" else "AP"
    names = [name for name, item in known.items() if item.kind == kind]
    if metric == "proposal":
        return {item: summary[item] for item in items or names}
    scores: dict[str, Any] = {f"{metric}_{item}": summary[item] for item in items or names}
    text = (f"{name}:{summary[name]:.4f}" if named else f"{summary[name]:.4f}" for name in names)
    return {**scores, f"{metric}_mAP_copypaste": " ".join(text)}


def classwise_table(dataset: Any, curves: Curves) -> str:
    """The AP of every class."""
    categories = dataset.coco.loadCats(sorted(dataset.cat_ids))  # the matching sorts them by number
    values = [mean_of_measured(curves.precision[:, :, k, 0, -1], nothing=np.nan) for k in range(len(categories))]
    return class_table([each["name"] for each in categories], [f"{value:.3f}" for value in values], "AP")


def describe(scores: dict[str, float], request: Request) -> str:
    """The numbers as lines in COCO's form."""
    span = f"{request.iou_thrs[0]:.2f}:{request.iou_thrs[-1]:.2f}"
    lines = []
    for name, item in ITEMS.items():
        iou = span if item.iou is None else f"{item.iou:.2f}"
        count = 100 if item.rank is None else request.max_dets[item.rank]
        lines.append(f" {item.kind} @[ IoU={iou:<9} | area={item.area:>6} | maxDets={count:>4} ] = {scores[name]:.4f}")
    return "\n".join(lines)
