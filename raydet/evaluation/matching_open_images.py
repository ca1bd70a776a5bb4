"""The matching rule of Open Images, where one box may stand for a group of objects."""

from __future__ import annotations

from typing import Any

import numpy as np

from raydet.evaluation.iou import np_bbox_overlaps
from raydet.evaluation.matching import AreaRanges, best_first, tpfp_default


def tpfp_openimages(
    det_bboxes: np.ndarray,
    gt_bboxes: np.ndarray,
    gt_bboxes_ignore: np.ndarray | None = None,
    iou_thr: float = 0.5,
    area_ranges: AreaRanges | None = None,
    use_legacy_coordinate: bool = False,
    gt_bboxes_group_of: np.ndarray | None = None,
    use_group_of: bool = True,
    ioa_thr: float = 0.5,
    **kwargs: Any,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Detections first look for single objects; what finds none and lies inside a group counts once for the group.

    Args:
        det_bboxes: `(D, 5)` xyxy and score.
        gt_bboxes: `(G, 4)`.
        gt_bboxes_ignore: `(I, 4)`.
        iou_thr: overlap from which a detection finds an object.
        area_ranges: S of them; not together with groups.
        use_legacy_coordinate: see `np_bbox_overlaps`.
        gt_bboxes_group_of: `(G,)` bool, which boxes are groups.
        use_group_of: False treats groups as objects.
        ioa_thr: part of a detection that must lie inside a group.
        **kwargs: options of the other rules, not used here.

    Returns:
        True positives, false positives, both `(S, D')` float32, and the detections that they speak of, `(D', 5)`: the
        detections inside groups are replaced by the best one of each group, groups without any by an empty one.

    Raises:
        ValueError: groups together with area ranges.
    """
    groups = np.zeros(len(gt_bboxes), dtype=bool)
    if use_group_of and gt_bboxes_group_of is not None and gt_bboxes_group_of.size:
        groups = gt_bboxes_group_of.reshape(-1).astype(bool)
    tp, fp = tpfp_default(det_bboxes, gt_bboxes[~groups], gt_bboxes_ignore, iou_thr, area_ranges, use_legacy_coordinate)
    if not groups.any():
        return tp, fp, det_bboxes
    if area_ranges is not None:
        raise ValueError("groups of objects (use_group_of) cannot be evaluated by scale_ranges; leave one of them out")
    inside = _group_of(det_bboxes, gt_bboxes[groups], ioa_thr, use_legacy_coordinate)
    inside[tp[0] > 0] = -1
    found, best = _best_of_each(det_bboxes, inside, int(groups.sum()))
    rest = inside < 0
    tp = np.concatenate([tp[:, rest], found[None]], axis=1)
    fp = np.concatenate([fp[:, rest], 1 - found[None]], axis=1)
    return tp, fp, np.concatenate([det_bboxes[rest], best])


def _group_of(detections: np.ndarray, groups: np.ndarray, ioa_thr: float, legacy: bool) -> np.ndarray:
    """`(D,)` index of the group that each detection lies in most, -1 if in none."""
    parts = np_bbox_overlaps(detections, groups, mode="iof", use_legacy_coordinate=legacy)
    inside: np.ndarray = np.where(parts.max(axis=1) >= ioa_thr, parts.argmax(axis=1), -1)
    return inside


def _best_of_each(detections: np.ndarray, inside: np.ndarray, num_groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Which groups were found, `(g,)` float32, and the best detection in each, `(g, 5)`, zeros if there is none."""
    found = np.zeros(num_groups, dtype=np.float32)
    best = np.zeros((num_groups, detections.shape[1]), dtype=detections.dtype)
    for i in best_first(detections)[::-1]:  # the best one is written last
        if inside[i] >= 0:
            found[inside[i]] = 1
            best[inside[i]] = detections[i]
    return found, best
