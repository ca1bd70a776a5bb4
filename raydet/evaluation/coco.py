"""COCO metrics: AP and AR of boxes, masks and proposals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from raydet.datasets.coco_results import box_columns, mask_columns, proposal_columns
from raydet.evaluation.coco_columns import Found, found_of, truths_of
from raydet.evaluation.coco_engine import Curves, compute_curves
from raydet.evaluation.coco_matching import Request
from raydet.evaluation.coco_summary import ITEMS, describe, mean_of_measured, summarize
from raydet.evaluation.recall import eval_recalls
from raydet.evaluation.report import Logger, class_table, say

METRICS = ("bbox", "segm", "proposal", "proposal_fast")
_PRECISIONS = [name for name, item in ITEMS.items() if item.kind == "AP"]
_RECALLS = [name for name, item in ITEMS.items() if item.kind == "AR"]


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
    metrics = known([metric] if isinstance(metric, str) else list(metric), METRICS, "metric")
    items = [metric_items] if isinstance(metric_items, str) else metric_items
    known(items or [], ITEMS, "metric item")
    check_results(dataset, results)
    if jsonfile_prefix is not None:
        dataset.format_results(results, jsonfile_prefix=jsonfile_prefix)
    found = found_by_metric(dataset, results) if set(metrics) - {"proposal_fast"} else {}
    scores: dict[str, Any] = {}
    for name in metrics:
        say(f"Evaluating {name}...", logger)
        if name == "proposal_fast":
            scores.update(_fast_recall(dataset, results, proposal_nums, iou_thrs, logger))
            continue
        if name not in found:
            raise KeyError(f"{name} is not in results; this model yields {', '.join(found)}")
        if not len(found[name]):
            say("The results of the whole data set are empty: not a single detection.", logger)
            break
        request = _request(dataset, name, proposal_nums, iou_thrs)
        curves = compute_curves(
            truths_of(dataset.annotations, request.iou_type), _countable(found[name], request), request
        )
        # 2.x finds single overlaps only in its default grid or in an array; with a list mAP_50 and mAP_75 are -1.
        summary = summarize(curves, request, single_overlaps=iou_thrs is None or isinstance(iou_thrs, np.ndarray))
        say("\n" + describe(summary, request), logger)
        if classwise and name != "proposal":
            say("\n" + _classwise_table(dataset, curves), logger)
        scores.update(_chosen(summary, name, items))
    return scores


def known(names: Sequence[str], supported: Any, what: str) -> Sequence[str]:
    """The names; KeyError when one is not `supported`."""
    for name in names:
        if name not in supported:
            raise KeyError(f"{what} {name} is not supported; expected some of {', '.join(supported)}")
    return names


def check_results(dataset: Any, results: Sequence[Any]) -> None:
    """ValueError when results are not of the images and classes of a data set."""
    if len(results) != len(dataset):
        raise ValueError(f"{len(results)} results for a data set of {len(dataset)} images; expected one for each image")
    first = results[0] if len(results) else None
    boxes = first[0] if isinstance(first, tuple) else first
    classes = dataset.CLASSES
    if isinstance(boxes, list) and classes is not None and len(boxes) != len(classes):
        raise ValueError(
            f"the results have {len(boxes)} classes but the data set has {len(classes)}, {', '.join(classes[:5])} ...; "
            "make num_classes of the model's heads and data.*.classes agree"
        )


def found_by_metric(dataset: Any, results: Sequence[Any]) -> dict[str, Found]:
    """The detections in results, by the metric that they are for."""
    first = results[0] if len(results) else []
    if isinstance(first, np.ndarray):
        return {"proposal": found_of(proposal_columns(dataset.img_ids, results))}
    if isinstance(first, tuple):
        boxes = found_of(box_columns(dataset.img_ids, dataset.cat_ids, [boxes for boxes, _ in results]))
        masks = found_of(mask_columns(dataset.img_ids, dataset.cat_ids, results))
        return {"bbox": boxes, "proposal": boxes, "segm": masks}
    if isinstance(first, list):
        boxes = found_of(box_columns(dataset.img_ids, dataset.cat_ids, results))
        return {"bbox": boxes, "proposal": boxes}
    raise TypeError(
        f"a result is a list of arrays, (boxes, masks) or an array of proposals, got {type(first).__name__}"
    )


def _fast_recall(
    dataset: Any, results: Sequence[Any], proposal_nums: Sequence[int], iou_thrs: Any, logger: Logger
) -> dict[str, float]:
    """Average recall without classes and without the COCO matching."""
    if len(results) and not isinstance(results[0], np.ndarray):
        raise KeyError("proposal_fast is for proposals, an array per image; take metric='proposal' for other results")
    truths = [_boxes_to_find(dataset.coco, image_id) for image_id in dataset.img_ids]
    recalls = eval_recalls(truths, results, proposal_nums, _thresholds(iou_thrs), logger="silent")
    scores = {f"AR@{num}": float(value) for num, value in zip(proposal_nums, recalls.mean(axis=1), strict=True)}
    say("".join(f"\n{name}\t{value:.4f}" for name, value in scores.items()), logger)
    return scores


def _boxes_to_find(coco: Any, image_id: int) -> np.ndarray:
    annotations = coco.loadAnns(coco.getAnnIds(imgIds=[image_id]))
    boxes = [ann["bbox"] for ann in annotations if not (ann.get("ignore", False) or ann.get("iscrowd", 0))]
    xywh = np.array(boxes, dtype=np.float32).reshape(-1, 4)
    return np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)


def _thresholds(iou_thrs: Any) -> np.ndarray:
    return np.linspace(0.5, 0.95, 10) if iou_thrs is None else np.atleast_1d(np.asarray(iou_thrs, dtype=np.float64))


def _request(dataset: Any, metric: str, proposal_nums: Sequence[int], iou_thrs: Any) -> Request:
    if len(proposal_nums) < 3:
        raise ValueError(f"metric {metric!r} needs three proposal_nums, such as (100, 300, 1000), got {proposal_nums}")
    return Request(
        iou_type="segm" if metric == "segm" else "bbox",
        image_ids=dataset.img_ids,
        category_ids=dataset.cat_ids,
        iou_thrs=_thresholds(iou_thrs),
        max_dets=sorted(proposal_nums),
        use_categories=metric != "proposal",
    )


def _countable(found: Found, request: Request) -> Found:
    """Proposals have no class: whatever number they were given, they count."""
    if request.use_categories:
        return found
    known = np.isin(found.categories, request.category_ids)
    return replace(found, categories=np.where(known, found.categories, request.category_ids[0]))


def _chosen(summary: dict[str, float], metric: str, items: Sequence[str] | None) -> dict[str, Any]:
    if metric == "proposal":
        return {item: summary[item] for item in items or _RECALLS}
    scores: dict[str, Any] = {f"{metric}_{item}": summary[item] for item in items or _PRECISIONS}
    scores[f"{metric}_mAP_copypaste"] = " ".join(f"{summary[item]:.4f}" for item in _PRECISIONS)
    return scores


def _classwise_table(dataset: Any, curves: Curves) -> str:
    names = {category["id"]: category["name"] for category in dataset.coco.loadCats(list(dataset.cat_ids))}
    ordered = sorted(names)  # the matching sorts categories by number
    values = [mean_of_measured(curves.precision[:, :, k, 0, -1], nothing=np.nan) for k in range(len(ordered))]
    return class_table([names[i] for i in ordered], [f"{value:.3f}" for value in values], "AP")
