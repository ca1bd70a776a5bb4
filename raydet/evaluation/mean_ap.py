"""Mean average precision as PASCAL VOC, ImageNet and Open Images measure it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from typing import Any

import numpy as np

from raydet.evaluation.average_precision import average_precision
from raydet.evaluation.class_names import get_classes
from raydet.evaluation.iou import box_areas
from raydet.evaluation.matching import AreaRanges, tpfp_default, tpfp_imagenet
from raydet.evaluation.matching_open_images import tpfp_openimages
from raydet.evaluation.report import Logger, say, text_table

Annotation = Mapping[str, np.ndarray]
"""Ground truth of an image: bboxes, labels and, if any, bboxes_ignore, labels_ignore, gt_is_group_ofs."""


def eval_map(
    det_results: Sequence[Sequence[np.ndarray]],
    annotations: Sequence[Annotation],
    scale_ranges: Sequence[tuple[float, float]] | None = None,
    iou_thr: float = 0.5,
    ioa_thr: float | None = None,
    dataset: str | Sequence[str] | None = None,
    logger: Logger = None,
    tpfp_fn: Callable[..., Any] | None = None,
    nproc: int = 1,
    use_legacy_coordinate: bool = False,
    use_group_of: bool = False,
) -> tuple[Any, list[dict[str, Any]]]:
    """Mean AP over the classes that have ground truth, and the curve of every class.

    Args:
        det_results: per image, K arrays `(D, 5)` of xyxy and score.
        annotations: per image, see `Annotation`.
        scale_ranges: S ranges of the square root of the area, evaluated one by one.
        iou_thr: overlap from which a detection finds an object.
        ioa_thr: part of a detection that must lie inside a group of objects.
        dataset: class names, or the name of a data set: "voc07" takes eleven points, "det" and "vid" the matching of
            ImageNet, "oid_challenge" and "oid_v6" that of Open Images.
        logger: where the table goes.
        tpfp_fn: another matching rule, see `raydet.evaluation.matching`.
        nproc: processes that match images; more than one pays for very many detections only.
        use_legacy_coordinate: see `np_bbox_overlaps`.
        use_group_of: boxes may stand for groups of objects, see `tpfp_openimages`.

    Returns:
        The mean AP, a float or a list over scales, and per class a dict of num_gts, num_dets, recall, precision, ap.

    Raises:
        ValueError: results and annotations are of different numbers of images, or `tpfp_fn` cannot be called.
    """
    if len(det_results) != len(annotations):
        raise ValueError(f"results of {len(det_results)} images but annotations of {len(annotations)}")
    rule = _matching_rule(tpfp_fn, dataset, use_group_of)
    options: dict[str, Any] = {"use_group_of": True} if use_group_of else {}
    if ioa_thr is not None:
        options["ioa_thr"] = ioa_thr
    area_ranges = None if scale_ranges is None else [(low**2, high**2) for low, high in scale_ranges]
    mode = "11points" if dataset == "voc07" else "area"
    eval_results = []
    for k in range(len(det_results[0]) if len(det_results) else 0):
        detections = [result[k] for result in det_results]
        truths = [_of_class(annotation, k) for annotation in annotations]
        matches = _match(rule, detections, truths, iou_thr, area_ranges, use_legacy_coordinate, options, nproc)
        num_gts = _count(truths, area_ranges, use_legacy_coordinate)
        eval_results.append(_curve(matches, num_gts, mode, by_scale=scale_ranges is not None))
    mean_ap = _mean_over_classes(eval_results, scale_ranges)
    print_map_summary(mean_ap, eval_results, dataset, area_ranges, logger=logger)
    return mean_ap, eval_results


def _matching_rule(
    tpfp_fn: Callable[..., Any] | None, dataset: str | Sequence[str] | None, use_group_of: bool
) -> Callable[..., Any]:
    if tpfp_fn is not None:
        if not callable(tpfp_fn):
            raise ValueError(f"tpfp_fn has to be a function or None, got {tpfp_fn!r}")
        return tpfp_fn
    if dataset in ("det", "vid"):
        return tpfp_imagenet
    return tpfp_openimages if use_group_of or dataset in ("oid_challenge", "oid_v6") else tpfp_default


def _of_class(annotation: Annotation, label: int) -> dict[str, np.ndarray]:
    """Objects of one class: `gt_bboxes`, `gt_bboxes_ignore` and `gt_bboxes_group_of`."""
    labels = np.asarray(annotation["labels"])
    groups = annotation.get("gt_is_group_ofs")
    return {
        "gt_bboxes": _boxes(annotation["bboxes"])[labels == label],
        "gt_bboxes_ignore": _boxes(annotation.get("bboxes_ignore", ()))[_ignored_labels(annotation) == label],
        "gt_bboxes_group_of": np.zeros(0, dtype=bool) if groups is None else np.asarray(groups)[labels == label],
    }


def _boxes(values: Any) -> np.ndarray:
    return np.asarray(values, dtype=np.float32).reshape(-1, 4)


def _ignored_labels(annotation: Annotation) -> np.ndarray:
    """Class of each ignored box; -1, which is none, where the annotation gives no classes."""
    labels = annotation.get("labels_ignore")
    return np.full(len(annotation.get("bboxes_ignore", ())), -1) if labels is None else np.asarray(labels)


def _match(
    rule: Callable[..., Any],
    detections: Sequence[np.ndarray],
    truths: Sequence[dict[str, np.ndarray]],
    iou_thr: float,
    area_ranges: AreaRanges | None,
    legacy: bool,
    options: Mapping[str, Any],
    nproc: int,
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """True positives, false positives and detections of every image."""
    columns = (repeat(rule), detections, truths, repeat(iou_thr), repeat(area_ranges), repeat(legacy), repeat(options))
    if nproc <= 1 or len(detections) <= 1:
        return list(map(_match_image, *columns))
    with ProcessPoolExecutor(nproc) as pool:
        return list(pool.map(_match_image, *columns, chunksize=max(1, len(detections) // (4 * nproc))))


def _match_image(
    rule: Callable[..., Any],
    detections: np.ndarray,
    truth: dict[str, np.ndarray],
    iou_thr: float,
    area_ranges: AreaRanges | None,
    legacy: bool,
    options: Mapping[str, Any],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    groups = [truth["gt_bboxes_group_of"]] if options.get("use_group_of") else []
    tp, fp, *changed = rule(
        detections, truth["gt_bboxes"], truth["gt_bboxes_ignore"], iou_thr, area_ranges, legacy, *groups, **options
    )
    return tp, fp, changed[0] if changed else detections


def _count(truths: Sequence[dict[str, np.ndarray]], area_ranges: AreaRanges | None, legacy: bool) -> np.ndarray:
    """`(S,)` objects to find."""
    areas = np.concatenate([box_areas(truth["gt_bboxes"], legacy) for truth in truths])
    if area_ranges is None:
        return np.array([len(areas)])
    return np.array([int(((areas >= low) & (areas < high)).sum()) for low, high in area_ranges])


def _curve(
    matches: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], num_gts: np.ndarray, mode: str, by_scale: bool
) -> dict[str, Any]:
    scores = np.concatenate([detections[:, -1] for _, _, detections in matches])
    order = np.argsort(-scores)
    tp, fp = (np.concatenate([match[i] for match in matches], axis=1)[:, order].cumsum(axis=1) for i in (0, 1))
    eps = np.finfo(np.float32).eps
    recall = tp / np.maximum(num_gts[:, None], eps)
    precision = tp / np.maximum(tp + fp, eps)
    if not by_scale:
        recall, precision, num_gts = recall[0], precision[0], num_gts.item()
    ap = average_precision(recall, precision, mode)
    return {"num_gts": num_gts, "num_dets": len(scores), "recall": recall, "precision": precision, "ap": ap}


def _mean_over_classes(eval_results: Sequence[dict[str, Any]], scale_ranges: Sequence[Any] | None) -> Any:
    num_scales = 1 if scale_ranges is None else len(scale_ranges)
    aps = np.array([result["ap"] for result in eval_results]).reshape(-1, num_scales)
    present = np.array([result["num_gts"] for result in eval_results]).reshape(-1, num_scales) > 0
    means = [float(aps[present[:, i], i].mean()) if present[:, i].any() else 0.0 for i in range(num_scales)]
    return means[0] if scale_ranges is None else means


def print_map_summary(
    mean_ap: Any,
    results: Sequence[Mapping[str, Any]],
    dataset: str | Sequence[str] | None = None,
    scale_ranges: Sequence[tuple[float, float]] | None = None,
    logger: Logger = None,
) -> None:
    """Print one table per scale: ground truths, detections, recall and AP of every class.

    Args:
        mean_ap: as `eval_map` returns it.
        results: as `eval_map` returns it.
        dataset: class names or the name of a data set.
        scale_ranges: the range of each table; printed above it.
        logger: where the tables go.
    """
    if logger == "silent":
        return
    names = get_classes(dataset) if isinstance(dataset, str) else dataset or [str(k) for k in range(len(results))]
    for i, mean in enumerate(np.atleast_1d(mean_ap)):
        if scale_ranges is not None:
            say(f"Scale range {scale_ranges[i]}", logger)
        rows = [_summary_row(name, result, i) for name, result in zip(names, results, strict=True)]
        say(
            "\n" + text_table(["class", "gts", "dets", "recall", "ap"], rows, ["mAP", "", "", "", f"{mean:.3f}"]),
            logger,
        )


def _summary_row(name: str, result: Mapping[str, Any], scale: int) -> list[str]:
    recall = np.atleast_2d(result["recall"])[scale]
    ap, num_gts = np.atleast_1d(result["ap"])[scale], np.atleast_1d(result["num_gts"])[scale]
    return [name, str(num_gts), str(result["num_dets"]), f"{recall[-1] if recall.size else 0.0:.3f}", f"{ap:.3f}"]
