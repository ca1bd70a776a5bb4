"""The metric of Open Images (arXiv:1811.00982).

It is a mean AP, where an object is also one of all classes above its own, and where a box may stand for a group.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from raydet.evaluation.mean_ap import eval_map
from raydet.evaluation.report import Logger
from raydet.evaluation.voc import as_thresholds, scores_at, single_metric

Truth = dict[str, np.ndarray]


def evaluate_open_images(
    dataset: Any,
    results: Sequence[Any],
    metric: str | Sequence[str] = "mAP",
    logger: Logger = None,
    iou_thr: float | Sequence[float] = 0.5,
    ioa_thr: float | Sequence[float] | None = 0.5,
    scale_ranges: Sequence[tuple[float, float]] | None = None,
    denorm_gt_bbox: bool = True,
    use_group_of: bool = True,
) -> dict[str, Any]:
    """Evaluate the results of a whole data set in the way of Open Images.

    Args:
        dataset: has `get_ann_info(i)`, `image_size(i)`, `image_level_labels(i)`, `CLASSES`, `filter_labels` and
            `get_supercategory`, and with the latter `class_label_tree`, as `OpenImagesDataset` does.
        results: per image, K arrays `(D, 5)`; left as they are.
        metric: "mAP".
        logger: where tables go.
        iou_thr: overlap or overlaps from which a detection is right.
        ioa_thr: part of a detection that must lie inside a group, one for each overlap.
        scale_ranges: also print tables by the square root of the area; only without groups.
        denorm_gt_bbox: the boxes of the data set are fractions of the image size.
        use_group_of: boxes may stand for groups of objects.

    Returns:
        `mAP` and `AP50` and so on for each overlap.

    Raises:
        KeyError: unknown metric.
        ValueError: results and data set are of different numbers of images, or overlaps and parts of different lengths.
    """
    single_metric(metric, ("mAP",))
    if len(results) != len(dataset):
        raise ValueError(f"{len(results)} results for a data set of {len(dataset)} images; expected one for each image")
    thresholds = as_thresholds(iou_thr)
    parts = dict(zip(thresholds, _parts(ioa_thr, thresholds, use_group_of), strict=True))
    tree = dataset.class_label_tree if dataset.get_supercategory else np.eye(len(dataset.CLASSES))
    truths, found = [], []
    for i, result in enumerate(results):
        truth = _truth(dataset, i, denorm_gt_bbox)
        found.append(_expanded_detections(result, tree, _verified(dataset, i, truth, tree), dataset.filter_labels))
        truths.append(_expanded_truth(truth, tree))

    def mean_ap(threshold: float) -> Any:
        return eval_map(
            found,
            truths,
            scale_ranges=scale_ranges,
            iou_thr=threshold,
            ioa_thr=parts[threshold],
            dataset=dataset.CLASSES,
            logger=logger,
            use_group_of=use_group_of,
        )[0]

    return scores_at(thresholds, mean_ap, logger)


def _parts(ioa_thr: Any, thresholds: Sequence[float], use_group_of: bool) -> list[float | None]:
    if ioa_thr is None:
        if use_group_of:
            raise ValueError("use_group_of needs ioa_thr, the part of a detection that must lie inside a group")
        return [None] * len(thresholds)
    parts = as_thresholds(ioa_thr)
    if len(parts) != len(thresholds):
        raise ValueError(f"ioa_thr needs one number for each iou_thr {list(thresholds)}, got {parts}")
    return [*parts]


def _truth(dataset: Any, idx: int, denormalize: bool) -> Truth:
    truth = dict(dataset.get_ann_info(idx))
    if denormalize:
        height, width = dataset.image_size(idx)
        truth["bboxes"] = truth["bboxes"] * np.array([width, height, width, height], np.float32)
    return truth


def _expanded_truth(truth: Truth, tree: np.ndarray) -> Truth:
    """Every object once more for each class above its own."""
    objects, labels = np.nonzero(tree[truth["labels"]])
    return {
        "bboxes": truth["bboxes"][objects],
        "labels": labels,
        "gt_is_group_ofs": truth["gt_is_group_ofs"][objects],
        "bboxes_ignore": truth["bboxes_ignore"],
    }


def _verified(dataset: Any, idx: int, truth: Truth, tree: np.ndarray) -> np.ndarray:
    """`(K,)` bool: classes of which people said whether the image shows them."""
    verified = np.zeros(len(tree), bool)
    verified[np.nonzero(tree[truth["labels"]])[1]] = True
    labels = dataset.image_level_labels(idx)
    if labels is not None:
        verified[labels] = True
    return verified


def _expanded_detections(
    result: Sequence[np.ndarray], tree: np.ndarray, verified: np.ndarray, only_verified: bool
) -> list[np.ndarray]:
    """Every detection once more for each verified class above its own; those of other classes go if `only_verified`."""
    expanded = []
    for label, own in enumerate(result):
        if not verified[label]:
            expanded.append(np.zeros((0, 5), np.float32) if only_verified else own)
            continue
        below = [k for k in np.flatnonzero(tree[:, label]).tolist() if k != label]
        expanded.append(np.concatenate([own, *(result[k] for k in below)]))
    return expanded
