"""Precision over recall of COCO: from matches, of one shard of images or of many."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from raydet.evaluation.coco_columns import Found, Truths
from raydet.evaluation.coco_lanes import WORD
from raydet.evaluation.coco_matching import Matches, Request, match_shard

RECALLS = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True)
class Curves:
    """What came out; -1 where there is no ground truth. A is the areas all, small, medium and large.

    Attributes:
        precision: `(T, 101, K, A, M)` at recalls 0, 0.01, ... 1.
        recall: `(T, K, A, M)`.
    """

    precision: np.ndarray
    recall: np.ndarray


def compute_curves(truths: Truths, found: Found, request: Request) -> Curves:
    """Match detections to objects and accumulate.

    Args:
        truths: the objects.
        found: the detections.
        request: what to compute.
    """
    return accumulate(match_shard(truths, found, request), request)


def accumulate(matches: Matches, request: Request) -> Curves:
    """Curves of matches, the same ones however they were sharded.

    Args:
        matches: of all images.
        request: what they were asked for.
    """
    num_areas, num_kinds = matches.num_truths.shape
    shape = (len(request.iou_thrs), num_kinds, num_areas, len(request.max_dets))
    precision = np.full((shape[0], len(RECALLS), *shape[1:]), -1.0)
    recall = np.full(shape, -1.0)
    longest = int(matches.ranks.max(initial=0)) + 1
    for m, limit in enumerate(request.max_dets):
        if m and request.max_dets[m - 1] >= longest:  # nothing left to add
            precision[..., m], recall[..., m] = precision[..., m - 1], recall[..., m - 1]
            continue
        for area in range(num_areas):
            known = matches.num_truths[area] > 0
            ladder = _Ladder(matches, area, limit, shape[0])
            for t in range(shape[0]):
                points, reached = ladder.curve(t)
                precision[t, :, known, area, m], recall[t, known, area, m] = points[known], reached[known]
    return Curves(precision, recall)


class _Ladder:
    """Detections of each category, best first, for one range of sizes.

    What happens between two right detections is only counted, so that a curve costs time for those that met something.

    Args:
        matches: of all images.
        area: which range.
        limit: how many detections per image and category count.
        num_thresholds: T.
    """

    def __init__(self, matches: Matches, area: int, limit: int, num_thresholds: int) -> None:
        kinds = np.arange(matches.num_truths.shape[1] + 1)
        live = matches.ranks < limit
        counted = matches.counted[area]
        self._lanes = range(area * num_thresholds, (area + 1) * num_thresholds)
        rows = np.flatnonzero(live[matches.met] & self._matched(matches))
        met = matches.met[rows]
        self._num_truths = matches.num_truths[area]
        self._right, self._ignored = matches.right[:, rows], matches.ignored[:, rows]
        self._counted = counted[met]
        self._kinds = matches.categories[met]
        self._starts = np.searchsorted(self._kinds, kinds)
        passed = _running(counted & live)
        self._passed = passed[met + 1]
        self._passed_before = passed[np.searchsorted(matches.categories, kinds)]
        self._needed = _needed(self._num_truths)

    def _matched(self, matches: Matches) -> np.ndarray:
        """`(C,)` bool, what has a match in any of the lanes."""
        masks = np.zeros(len(matches.right), np.uint64)
        for lane in self._lanes:
            masks[lane // WORD] |= np.uint64(1 << lane % WORD)
        matched: np.ndarray = ((matches.right | matches.ignored) & masks[:, None]).any(axis=0)
        return matched

    def curve(self, t: int) -> tuple[np.ndarray, np.ndarray]:
        """Precision `(K, 101)` and recall `(K,)` at threshold t."""
        right, ignored = self._lane(self._right, t), self._lane(self._ignored, t)
        shift = _running((right & ~self._counted).view(np.int8) - (ignored & self._counted).view(np.int8))
        before = self._passed_before + shift[self._starts]
        hits = np.flatnonzero(right)
        kinds = self._kinds[hits]
        firsts = np.searchsorted(hits, self._starts)
        num_right = np.arange(1, len(hits) + 1) - firsts[kinds]
        num_all = self._passed[hits] + shift[hits + 1] - before[kinds]
        # the tiny term is the one of pycocotools
        precision = num_right / (num_all + np.spacing(1))
        reached = (firsts[1:] - firsts[:-1]) / np.maximum(self._num_truths, 1)
        return _envelope(precision, firsts, self._needed), reached

    def _lane(self, words: np.ndarray, t: int) -> np.ndarray:
        word, bit = divmod(self._lanes[t], WORD)
        lane: np.ndarray = (words[word] & np.uint64(1 << bit)) != 0
        return lane


def _running(values: np.ndarray) -> np.ndarray:
    """`(N + 1,)` sums of the first 0, 1, ... N values."""
    return np.concatenate([[0], np.cumsum(values, dtype=np.int64)])


def _needed(num_truths: np.ndarray) -> np.ndarray:
    """`(K, 101)` how many objects must be found, at least one, to reach each recall."""
    total = np.maximum(num_truths, 1)[:, None]
    needed = np.ceil(RECALLS * total)
    needed -= (needed - 1) / total >= RECALLS  # a rounded product may be off by one
    needed += needed / total < RECALLS
    return np.asarray(np.maximum(needed, 1), np.int64)


def _envelope(precision: np.ndarray, firsts: np.ndarray, needed: np.ndarray) -> np.ndarray:
    """`(K, 101)` best precision at each recall or beyond it, 0 where the recall is never reached.

    Args:
        precision: `(H,)` at each right detection, ordered by category.
        firsts: `(K + 1,)` where the categories begin.
        needed: `(K, 101)` how many right detections reach each recall.
    """
    begin, end = firsts[:-1, None], firsts[1:, None]
    reached = needed <= end - begin
    places = np.where(reached, begin + needed - 1, end)
    best = np.maximum.reduceat(np.append(precision, 0.0), places.ravel()).reshape(places.shape)
    best = np.where(reached, best, 0.0)
    return np.asarray(np.maximum.accumulate(best[:, ::-1], axis=1)[:, ::-1])
