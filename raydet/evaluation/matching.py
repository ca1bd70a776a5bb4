"""Which detections of one image and class are right: the rules of PASCAL VOC, ImageNet and Open Images.

Each `tpfp_*` function returns, for every area range, what is a true and what is a false positive, `(S, D)` float32
each. A detection that is neither met an ignored object or lies outside the area range.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from raydet.evaluation.iou import box_areas, np_bbox_overlaps

AreaRange = tuple[float, float]
"""Areas in square pixels, lower bound included, upper bound not."""
AreaRanges = Sequence[AreaRange]


class _Objects:
    """Ground truths of one image and class, the ignored ones behind the others."""

    def __init__(self, boxes: np.ndarray, ignored: np.ndarray | None, legacy: bool) -> None:
        ignored = np.zeros((0, 4), dtype=np.float32) if ignored is None else ignored
        self.boxes = np.concatenate([boxes.reshape(-1, 4), ignored.reshape(-1, 4)])
        self.ignored = np.arange(len(self.boxes)) >= len(boxes)
        self.areas = box_areas(self.boxes, legacy)

    def __len__(self) -> int:
        return len(self.boxes)

    def out_of(self, area_range: AreaRange | None) -> np.ndarray:
        """`(G,)` whether an object is ignored, by itself or for its size."""
        out: np.ndarray = self.ignored | ~_inside(self.areas, area_range)
        return out


def _inside(areas: np.ndarray, area_range: AreaRange | None) -> np.ndarray:
    if area_range is None:
        return np.ones(len(areas), dtype=bool)
    inside: np.ndarray = (areas >= area_range[0]) & (areas < area_range[1])
    return inside


def _ranges(area_ranges: AreaRanges | None) -> list[AreaRange | None]:
    return [None] if area_ranges is None else list(area_ranges)


def best_first(detections: np.ndarray) -> np.ndarray:
    """Indices of `(D, 5)` detections by falling score."""
    return np.argsort(-detections[:, -1])


def _judge(
    matched: np.ndarray,
    right: np.ndarray,
    out: np.ndarray,
    det_areas: np.ndarray,
    area_range: AreaRange | None,
) -> tuple[np.ndarray, np.ndarray]:
    """True and false positives from the matched object (or -1) of each detection.

    `right` marks the detections that find their object first; objects in `out` make neither right nor wrong.
    """
    counts = (matched >= 0) & ~out[matched] if len(out) else np.zeros(len(matched), dtype=bool)
    wrong = np.where(matched >= 0, counts & ~right, _inside(det_areas, area_range))
    return (counts & right).astype(np.float32), wrong.astype(np.float32)


def _first_of_each(matched: np.ndarray, order: np.ndarray) -> np.ndarray:
    """`(D,)` whether a detection is the best one of those matched to the same object."""
    first = np.zeros(len(matched), dtype=bool)
    _, index = np.unique(matched[order], return_index=True)
    first[order[index]] = True
    return first & (matched >= 0)


def tpfp_default(
    det_bboxes: np.ndarray,
    gt_bboxes: np.ndarray,
    gt_bboxes_ignore: np.ndarray | None = None,
    iou_thr: float = 0.5,
    area_ranges: AreaRanges | None = None,
    use_legacy_coordinate: bool = False,
    **kwargs: Any,
) -> tuple[np.ndarray, np.ndarray]:
    """The rule of PASCAL VOC: a detection looks at the object that it overlaps most; the best one has it.

    Args:
        det_bboxes: `(D, 5)` xyxy and score.
        gt_bboxes: `(G, 4)`.
        gt_bboxes_ignore: `(I, 4)`.
        iou_thr: overlap from which a detection finds an object.
        area_ranges: S of them.
        use_legacy_coordinate: see `np_bbox_overlaps`.
        **kwargs: options of the other rules, not used here.
    """
    objects = _Objects(gt_bboxes, gt_bboxes_ignore, use_legacy_coordinate)
    matched = _most_overlapped(det_bboxes, objects.boxes, iou_thr, use_legacy_coordinate)
    right = _first_of_each(matched, best_first(det_bboxes))
    det_areas = box_areas(det_bboxes, use_legacy_coordinate)
    verdicts = [_judge(matched, right, objects.out_of(each), det_areas, each) for each in _ranges(area_ranges)]
    return np.stack([tp for tp, _ in verdicts]), np.stack([fp for _, fp in verdicts])


def _most_overlapped(detections: np.ndarray, boxes: np.ndarray, iou_thr: float, legacy: bool) -> np.ndarray:
    """`(D,)` index of the box that each detection overlaps most, -1 below the threshold."""
    if len(boxes) == 0:
        return np.full(len(detections), -1)
    overlaps = np_bbox_overlaps(detections, boxes, use_legacy_coordinate=legacy)
    return np.where(overlaps.max(axis=1) >= iou_thr, overlaps.argmax(axis=1), -1)


def tpfp_imagenet(
    det_bboxes: np.ndarray,
    gt_bboxes: np.ndarray,
    gt_bboxes_ignore: np.ndarray | None = None,
    default_iou_thr: float = 0.5,
    area_ranges: AreaRanges | None = None,
    use_legacy_coordinate: bool = False,
    **kwargs: Any,
) -> tuple[np.ndarray, np.ndarray]:
    """The rule of ImageNet: a detection takes the best object that is still free; small objects need less overlap.

    Args:
        det_bboxes: `(D, 5)` xyxy and score.
        gt_bboxes: `(G, 4)`.
        gt_bboxes_ignore: `(I, 4)`.
        default_iou_thr: overlap from which a detection finds a large object.
        area_ranges: S of them.
        use_legacy_coordinate: see `np_bbox_overlaps`.
        **kwargs: options of the other rules, not used here.
    """
    objects = _Objects(gt_bboxes, gt_bboxes_ignore, use_legacy_coordinate)
    extra = 1.0 if use_legacy_coordinate else 0.0
    widths, heights = (objects.boxes[:, 2:] - objects.boxes[:, :2] + extra).T
    thresholds = np.minimum(widths * heights / ((widths + 10.0) * (heights + 10.0)), default_iou_thr)
    overlaps = np_bbox_overlaps(det_bboxes, objects.boxes - 1, use_legacy_coordinate=use_legacy_coordinate)
    matched = np.full(len(det_bboxes), -1)
    eligible = np.where(overlaps >= thresholds, overlaps, -1.0)
    for i in best_first(det_bboxes) if len(objects) else ():
        best = eligible[i].argmax()
        if eligible[i, best] >= 0:
            matched[i] = best
            eligible[:, best] = -1.0
    det_areas = box_areas(det_bboxes, use_legacy_coordinate)
    verdicts = [_judge(matched, matched >= 0, objects.out_of(each), det_areas, each) for each in _ranges(area_ranges)]
    return np.stack([tp for tp, _ in verdicts]), np.stack([fp for _, fp in verdicts])
