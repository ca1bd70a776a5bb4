"""Which detections overlap which true objects: the pairs that matching chooses from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from pycocotools import mask as rle_tools

from raydet.evaluation.coco_columns import Found, Truths

_PAIRS_AT_ONCE = 1 << 16


class Pairs(NamedTuple):
    """Pairs ordered by detection, of one group each; P of them.

    Attributes:
        found: `(P,)` row of the detection.
        truth: `(P,)` row of the object.
        iou: `(P,)` float64 overlap; with crowds, the covered share of the detection.
    """

    found: np.ndarray
    truth: np.ndarray
    iou: np.ndarray


def overlapping_pairs(
    truths: Truths, found: Found, truth_groups: np.ndarray, found_groups: np.ndarray, floor: float
) -> Pairs:
    """All pairs within a group that overlap by at least `floor`.

    Args:
        truths: G objects, ordered by group.
        found: D detections, ordered by group.
        truth_groups: `(G,)` ascending numbers of the groups.
        found_groups: `(D,)` ascending numbers of the groups.
        floor: smallest overlap, above 0.
    """
    starts = np.searchsorted(truth_groups, found_groups, "left")
    counts = np.searchsorted(truth_groups, found_groups, "right") - starts
    if found.masks is not None:
        parts = _mask_pairs(truths, found, found_groups, starts, counts)
    else:
        parts = _box_pairs(truths, found, starts, counts)
    strong = [Pairs(*(column[pairs.iou >= floor] for column in pairs)) for pairs in parts]
    nothing = Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    return Pairs(*(np.concatenate(columns) for columns in zip(nothing, *strong, strict=True)))


def _box_pairs(truths: Truths, found: Found, starts: np.ndarray, counts: np.ndarray) -> Iterator[Pairs]:
    """Overlaps of boxes with the roundings of pycocotools, a bounded number of pairs at a time."""
    ends = np.cumsum(counts)
    cuts = np.searchsorted(ends, np.arange(_PAIRS_AT_ONCE, ends[-1] if len(ends) else 0, _PAIRS_AT_ONCE))
    a, b = _Corners(found.boxes), _Corners(truths.boxes)
    for rows in np.split(np.flatnonzero(counts), np.searchsorted(np.flatnonzero(counts), cuts)):
        first, number = starts[rows], counts[rows]
        det = np.repeat(rows, number)
        gt = np.arange(len(det)) + np.repeat(first - (np.cumsum(number) - number), number)
        width = np.minimum(a.right[det], b.right[gt]) - np.maximum(a.left[det], b.left[gt])
        near = np.flatnonzero(width > 0)
        det, gt, width = det[near], gt[near], width[near]
        height = np.minimum(a.bottom[det], b.bottom[gt]) - np.maximum(a.top[det], b.top[gt])
        near = np.flatnonzero(height > 0)
        det, gt = det[near], gt[near]
        shared = width[near] * height[near]
        size = a.area[det]
        whole = np.where(truths.crowd[gt], size, size + b.area[gt] - shared)
        yield Pairs(det, gt, shared / whole)


class _Corners:
    """Columns of boxes, each in one piece of memory."""

    def __init__(self, boxes: np.ndarray) -> None:
        self.left, self.top, width, height = np.ascontiguousarray(boxes.T)
        self.right, self.bottom, self.area = self.left + width, self.top + height, width * height


def _mask_pairs(
    truths: Truths, found: Found, groups: np.ndarray, starts: np.ndarray, counts: np.ndarray
) -> Iterator[Pairs]:
    assert truths.masks is not None
    assert found.masks is not None
    for rows in np.split(np.arange(len(groups)), np.flatnonzero(np.diff(groups)) + 1):
        if not len(rows) or not counts[rows[0]]:
            continue
        first, number = starts[rows[0]], counts[rows[0]]
        crowd = truths.crowd[first : first + number]
        masks = [found.masks[i] for i in rows]
        iou = rle_tools.iou(masks, truths.masks[first : first + number], crowd.astype(np.uint8))
        det, gt = np.nonzero(iou)
        yield Pairs(rows[det], first + gt, iou[det, gt])
