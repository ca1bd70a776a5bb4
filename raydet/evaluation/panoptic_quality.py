"""Panoptic quality: how well segments fit, and how many are found (arXiv:1801.00868)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from raydet.structures import VOID


@dataclass(frozen=True)
class Segments:
    """The S segments of one image.

    Attributes:
        map: `(H, W)` segment id of each pixel, `VOID` where there is none.
        ids: `(S,)`.
        labels: `(S,)` classes in [0, K).
        areas: `(S,)` pixels.
        crowd: `(S,)` bool, regions of several things; they are neither found nor missed.
    """

    map: np.ndarray
    ids: np.ndarray
    labels: np.ndarray
    areas: np.ndarray
    crowd: np.ndarray


@dataclass
class Counts:
    """What adds up over images, `(K,)` each: hits, false alarms, misses, and the IoU of the hits."""

    hits: np.ndarray
    false_alarms: np.ndarray
    misses: np.ndarray
    iou: np.ndarray

    @classmethod
    def zero(cls, num_classes: int) -> Counts:
        """Before the first image."""
        hits, false_alarms, misses = np.zeros((3, num_classes), np.int64)
        return cls(hits, false_alarms, misses, np.zeros(num_classes))

    def add(self, other: Counts) -> None:
        """Add those of another image."""
        self.hits += other.hits
        self.false_alarms += other.false_alarms
        self.misses += other.misses
        self.iou += other.iou


@dataclass(frozen=True)
class Quality:
    """In [0, 1]: quality `pq = sq * rq`, segmentation quality (mean IoU of hits), recognition quality (F1)."""

    pq: np.ndarray
    sq: np.ndarray
    rq: np.ndarray
    measured: np.ndarray  # bool, there is or was found such a segment

    def mean(self, chosen: np.ndarray) -> tuple[float, float, float]:
        """pq, sq and rq over the measured ones of the `chosen` `(K,)` classes; 0 when there are none."""
        chosen = chosen & self.measured
        means = (float(each[chosen].mean()) if chosen.any() else 0.0 for each in (self.pq, self.sq, self.rq))
        return tuple(means)  # type: ignore[return-value]


def compare(truth: Segments, found: Segments, num_classes: int) -> Counts:
    """Compare the segments of one image.

    A found segment hits a true one of its class when their IoU is above 0.5; pixels that are void in the truth do not
    count. Found segments that lie mostly on void and crowd are no false alarms.

    Raises:
        ValueError: the maps are of different sizes.
    """
    if truth.map.shape != found.map.shape:
        raise ValueError(f"a panoptic result of {found.map.shape} pixels for an image of {truth.map.shape}")
    overlaps, void = _overlaps(truth, found)
    union = truth.areas[:, None] + found.areas - overlaps - void
    same = (truth.labels[:, None] == found.labels) & ~truth.crowd[:, None] & (overlaps > 0)
    iou = np.divide(overlaps, union, out=np.zeros(overlaps.shape), where=same)
    true_rows, found_rows = np.nonzero(iou > 0.5)
    hit_labels = truth.labels[true_rows]
    missed = ~truth.crowd & ~np.isin(np.arange(len(truth.ids)), true_rows)
    ignored = (void + _on_crowd(truth, found, overlaps)) / found.areas > 0.5
    alarms = ~ignored & ~np.isin(np.arange(len(found.ids)), found_rows)
    return Counts(
        np.bincount(hit_labels, minlength=num_classes),
        np.bincount(found.labels[alarms], minlength=num_classes),
        np.bincount(truth.labels[missed], minlength=num_classes),
        np.bincount(hit_labels, iou[true_rows, found_rows], num_classes),
    )


def _overlaps(truth: Segments, found: Segments) -> tuple[np.ndarray, np.ndarray]:
    """Pixels that are both in a true and in a found segment, `(S, D)`, and those of found ones on void, `(D,)`."""
    rows, num_rows = _positions(truth)
    columns, num_columns = _positions(found)
    table = np.bincount((rows * num_columns + columns).ravel(), minlength=num_rows * num_columns)
    table = table.reshape(num_rows, num_columns)
    return table[2:, 2:], table[1, 2:]


def _positions(segments: Segments) -> tuple[np.ndarray, int]:
    """For each pixel 0 for an id that is not listed, 1 for void, 2 and on for the segments; and how many there are."""
    ids = np.concatenate([[VOID], segments.ids])
    order = np.argsort(ids, kind="stable")
    found = np.minimum(np.searchsorted(ids, segments.map, sorter=order), len(ids) - 1)
    position = order[found]
    return np.where(ids[position] == segments.map, position + 1, 0), len(ids) + 1


def _on_crowd(truth: Segments, found: Segments, overlaps: np.ndarray) -> np.ndarray:
    """`(D,)` pixels of found segments on the crowd of their class; of several crowds the last one counts."""
    pixels = np.zeros(len(found.ids), np.int64)
    for row in np.flatnonzero(truth.crowd):
        of_class = found.labels == truth.labels[row]
        pixels[of_class] = overlaps[row, of_class]
    return pixels


def quality(counts: Counts) -> Quality:
    """The quality of every class."""
    weight = counts.hits + 0.5 * counts.false_alarms + 0.5 * counts.misses
    measured = weight > 0
    pq, rq = (_ratio(each, weight) for each in (counts.iou, counts.hits))
    return Quality(pq, _ratio(counts.iou, counts.hits), rq, measured)


def _ratio(value: np.ndarray, by: np.ndarray) -> np.ndarray:
    return np.asarray(np.divide(value, by, out=np.zeros(len(by)), where=by > 0))
