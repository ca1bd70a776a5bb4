"""Evaluating a data set whose results lie in several processes: what they matched travels, not the results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from raydet.datasets.coco import CocoDataset
from raydet.evaluation.coco import CocoMeasure
from raydet.evaluation.coco_shares import FAST, match_images, metric_names, score_shares
from raydet.evaluation.lvis import LvisMeasure
from raydet.evaluation.report import Logger

_MEASURES: dict[str, type[CocoMeasure]] = {"coco": CocoMeasure, "lvis": LvisMeasure}


def can_share(
    dataset: Any, metric: str | Sequence[str] = "bbox", jsonfile_prefix: str | None = None, **options: Any
) -> bool:
    """Whether `evaluate_share` gives what `dataset.evaluate` does with these options.

    It does not for data sets that evaluate in their own way, for "proposal_fast" and for result files.
    """
    plain = getattr(type(dataset), "evaluate", None) is CocoDataset.evaluate and dataset.METRIC in _MEASURES
    return plain and jsonfile_prefix is None and FAST not in metric_names(metric)


def evaluate_share(
    dataset: Any,
    results: Sequence[Any],
    positions: Sequence[int],
    gather: Callable[[Any], list[Any] | None],
    *,
    metric: str | Sequence[str] = "bbox",
    logger: Logger = None,
    jsonfile_prefix: None = None,
    **options: Any,
) -> dict[str, Any] | None:
    """Match the images of this process and, where the shares of all come together, compute the metrics.

    Args:
        dataset: of which `can_share` is true.
        results: one 2.x result for each of the images at `positions`.
        positions: no two processes have the same one, and together they have all.
        gather: brings the objects of all processes to one of them, None to the others.
        metric: as for `dataset.evaluate`, like the following.
        logger: where tables go.
        jsonfile_prefix: must be left out.
        options: more arguments of `dataset.evaluate`.

    Returns:
        The metrics by name where the shares came together, None elsewhere.
    """
    measure = _MEASURES[dataset.METRIC](dataset, logger, **options)
    metrics = metric_names(metric)
    shares = gather(match_images(measure, results, positions, metrics))
    return None if shares is None else score_shares(measure, shares, metrics)
