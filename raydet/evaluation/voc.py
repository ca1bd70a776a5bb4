"""VOC-style metrics of any data set: mean AP at given overlaps, and recall of proposals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from raydet.evaluation.mean_ap import eval_map, print_map_summary
from raydet.evaluation.recall import eval_recalls
from raydet.evaluation.report import Logger, say

METRICS = ("mAP", "recall")


def evaluate_voc(
    dataset: Any,
    results: Sequence[Any],
    metric: str | Sequence[str] = "mAP",
    logger: Logger = None,
    proposal_nums: Sequence[int] = (100, 300, 1000),
    iou_thr: float | Sequence[float] = 0.5,
    scale_ranges: Sequence[tuple[float, float]] | None = None,
) -> dict[str, Any]:
    """Evaluate the results of a whole data set in the way of PASCAL VOC.

    A data set with a `year` is a VOC one: box sizes count the last pixel, scale ranges are not used, and 2007 averages
    precision over eleven points.

    Args:
        dataset: has `get_ann_info(i)` and `CLASSES`.
        results: per image, K arrays `(D, 5)`; for recall one array of proposals.
        metric: "mAP" or "recall".
        logger: where tables go.
        proposal_nums: numbers of proposals for recall.
        iou_thr: overlap or overlaps from which a detection is right.
        scale_ranges: also print tables by the square root of the area; the mean over them is returned.

    Returns:
        `mAP` and `AP50`, ... for each overlap, or `recall@100@0.5`, ... and with several overlaps `AR@100`, ...

    Raises:
        KeyError: unknown metric.
        ValueError: more than one metric.
    """
    name = single_metric(metric, METRICS)
    thresholds = as_thresholds(iou_thr)
    annotations = [dataset.get_ann_info(i) for i in range(len(dataset))]
    year = getattr(dataset, "year", None)
    if name == "recall":
        truths = [annotation["bboxes"] for annotation in annotations]
        return _recalls(truths, results, proposal_nums, thresholds, logger, use_legacy_coordinate=year is not None)

    scales = None if year is not None else scale_ranges

    def mean_ap(threshold: float) -> Any:
        mean, by_class = eval_map(
            results,
            annotations,
            scale_ranges=scales,
            iou_thr=threshold,
            dataset="voc07" if year == 2007 else None,  # a name that also means eleven points
            logger="silent",
            use_legacy_coordinate=year is not None,
        )
        print_map_summary(mean, by_class, dataset.CLASSES, scales, logger)
        return mean

    return scores_at(thresholds, mean_ap, logger)


def scores_at(thresholds: Sequence[float], mean_ap: Callable[[float], Any], logger: Logger = None) -> dict[str, Any]:
    """`mAP`, the mean over thresholds, and `AP50` and so on for each of them.

    Args:
        thresholds: overlaps from which a detection is right.
        mean_ap: gives the mean AP at one threshold, or one for each range of sizes.
        logger: where a line goes before each.
    """
    scores: dict[str, Any] = {"mAP": 0.0}
    means = []
    for threshold in thresholds:
        say(f"\n{'-' * 15}iou_thr: {threshold}{'-' * 15}", logger)
        means.append(float(np.mean(mean_ap(threshold))))
        scores[f"AP{int(threshold * 100):02d}"] = round(means[-1], 3)
    scores["mAP"] = sum(means) / len(means)
    return scores


def as_thresholds(values: Any) -> list[float]:
    """One number or several, as a list."""
    return [float(each) for each in np.atleast_1d(np.asarray(values, dtype=np.float64))]


def single_metric(metric: str | Sequence[str], known: Sequence[str]) -> str:
    """The one metric asked for; KeyError when it is not `known`, ValueError when there are several."""
    names = [metric] if isinstance(metric, str) else list(metric)
    if len(names) != 1:
        raise ValueError(f"expected one metric out of {', '.join(known)}, got {names}")
    if names[0] not in known:
        raise KeyError(f"metric {names[0]} is not supported; expected one of {', '.join(known)}")
    return names[0]


def _recalls(
    truths: Sequence[np.ndarray],
    results: Sequence[np.ndarray],
    proposal_nums: Sequence[int],
    thresholds: Sequence[float],
    logger: Logger,
    use_legacy_coordinate: bool,
) -> dict[str, float]:
    recalls = eval_recalls(truths, results, proposal_nums, thresholds, logger, use_legacy_coordinate)
    scores = {
        f"recall@{num}@{threshold}": float(recalls[i, j])
        for i, num in enumerate(proposal_nums)
        for j, threshold in enumerate(thresholds)
    }
    if len(thresholds) > 1:
        scores.update({f"AR@{num}": float(recalls[i].mean()) for i, num in enumerate(proposal_nums)})
    return scores
