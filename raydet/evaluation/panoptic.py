"""Evaluation of panoptic results over a data set."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from raydet.datasets.panoptic_results import segments_in
from raydet.evaluation.coco import evaluate_coco
from raydet.evaluation.panoptic_quality import Counts, Quality, Segments, compare, quality
from raydet.evaluation.report import Logger, say, text_table

METRICS = ("PQ", "bbox", "segm", "proposal")


def evaluate_panoptic(
    dataset: Any,
    results: Sequence[Any],
    metric: str | Sequence[str] = "PQ",
    logger: Logger = None,
    jsonfile_prefix: str | None = None,
    classwise: bool = False,
    nproc: int = 32,
    **options: Any,
) -> dict[str, Any]:
    """Evaluate the panoptic and instance results of a whole data set.

    Args:
        dataset: a `CocoPanopticDataset`.
        results: per image a dict with `pan_results` `(H, W)`, `ins_results` or both.
        metric: any of "PQ", "bbox", "segm" and "proposal".
        logger: where tables go.
        jsonfile_prefix: also write the results, see the data set's `format_results`.
        classwise: also print each class.
        nproc: images that are compared at a time, at most.
        options: more arguments of `evaluate_coco`, for instances.

    Returns:
        PQ, SQ, RQ, PQ_th, ..., RQ_st in percent; `bbox_mAP` and so on.

    Raises:
        KeyError: unknown metric, or the results lack what a metric needs.
        ValueError: the results do not belong to the data set.
    """
    metrics = ["PQ" if each == "pq" else each for each in ([metric] if isinstance(metric, str) else metric)]
    unknown = [each for each in metrics if each not in METRICS]
    if unknown:
        raise KeyError(f"metric {unknown[0]} is not supported; expected some of {', '.join(METRICS)}")
    if len(results) != len(dataset):
        raise ValueError(f"{len(results)} results for a data set of {len(dataset)} images; expected one for each image")
    if jsonfile_prefix is not None:
        dataset.format_results(results, jsonfile_prefix=jsonfile_prefix)
    scores: dict[str, Any] = {}
    if "PQ" in metrics:
        scores.update(_evaluate_maps(dataset, _part(results, "pan_results"), logger, classwise, nproc))
    of_instances = [each for each in metrics if each != "PQ"]
    if of_instances:
        instances = _part(results, "ins_results")
        options = {"logger": logger, "classwise": classwise, **options}
        scores.update(evaluate_coco(dataset.instances(), instances, of_instances, **options))
    return scores


def _part(results: Sequence[Any], key: str) -> list[Any]:
    if results and not (isinstance(results[0], dict) and key in results[0]):
        has = ", ".join(results[0]) if isinstance(results[0], dict) else type(results[0]).__name__
        raise KeyError(f"the metric needs {key} of every image; this model yields {has}")
    return [each[key] for each in results]


def _evaluate_maps(
    dataset: Any, maps: Sequence[np.ndarray], logger: Logger, classwise: bool, nproc: int
) -> dict[str, float]:
    num_classes = len(dataset.cat_ids)

    def of_image(index: int) -> Counts:
        truth = Segments(dataset.segment_map(index), **dataset.segments(index))
        return compare(truth, found_segments(maps[index], dataset), num_classes)

    counts = Counts.zero(num_classes)
    with ThreadPoolExecutor(max(1, min(nproc, os.cpu_count() or 1))) as pool:
        for each in pool.map(of_image, range(len(maps))):
            counts.add(each)
    values = quality(counts)
    things = np.array([dataset.is_thing(each) for each in dataset.cat_ids], bool)
    means = {"": values.mean(np.ones_like(things)), "_th": values.mean(things), "_st": values.mean(~things)}
    say("\n" + _mean_table(means), logger)
    if classwise:
        say("\n" + _class_table([dataset.categories[each]["name"] for each in dataset.cat_ids], values), logger)
    return {
        f"{name}{part}": 100 * value
        for part, three in means.items()
        for name, value in zip(("PQ", "SQ", "RQ"), three, strict=True)
    }


def found_segments(result: np.ndarray, dataset: Any) -> Segments:
    """The segments of a result map."""
    numbers, records = segments_in(result, dataset)
    rows = [(each["id"], dataset.cat2label[each["category_id"]], each["area"]) for each in records]
    ids, labels, areas = np.array(rows, np.int64).reshape(-1, 3).T
    return Segments(numbers, ids, labels, areas, np.zeros(len(records), bool))


def _mean_table(means: dict[str, tuple[float, float, float]]) -> str:
    names = ("All", "Things", "Stuff")
    rows = [[name, *(f"{100 * each:.3f}" for each in three)] for name, three in zip(names, means.values(), strict=True)]
    return text_table(["", "PQ", "SQ", "RQ"], rows)


def _class_table(names: Sequence[str], values: Quality) -> str:
    columns = zip(names, values.pq, values.sq, values.rq, strict=True)
    rows = [[name, *(f"{100 * each:.3f}" for each in three)] for name, *three in columns]
    return text_table(["category", "PQ", "SQ", "RQ"], rows)
