"""The greedy choice of COCO, for all detections and all thresholds and ranges of sizes at once.

Detections of an image and category take the best object that is still free, best detection first. Every overlap
threshold and range of sizes has a matching of its own, a lane: one bit of a 64-bit word. A step of the loop decides one
pair of every cluster of detections and objects that overlap, so that Python makes no more steps than the largest
cluster has pairs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from raydet.evaluation.coco_columns import Truths
from raydet.evaluation.coco_order import places_in_runs, stable_order
from raydet.evaluation.coco_overlaps import Pairs

AREA_RANGES = np.array([[0, 1e10], [0, 32**2], [32**2, 96**2], [96**2, 1e10]])
"""Sizes in square pixels, all, small, medium and large; both bounds belong to a range."""
WORD = 64


def in_ranges(areas: np.ndarray) -> np.ndarray:
    """`(A, N)` bool."""
    inside: np.ndarray = (areas >= AREA_RANGES[:, :1]) & (areas <= AREA_RANGES[:, 1:])
    return inside


class Lanes:
    """The lanes of all thresholds and ranges of sizes, and the objects that count in them.

    Attributes:
        thresholds: `(T,)` overlaps.
        counted: `(A, G)` bool, objects of which a missed one is missed.
        num_words: W.
    """

    def __init__(self, iou_thrs: np.ndarray, truths: Truths) -> None:
        self.thresholds = np.minimum(iou_thrs, 1 - 1e-10)
        self.counted = in_ranges(truths.areas) & ~truths.ignored
        self._truths = truths
        numbers = range(len(AREA_RANGES) * len(iou_thrs))
        self._words = [numbers[i : i + WORD] for i in numbers[::WORD]]
        self.num_words = len(self._words)

    def reached(self, iou: np.ndarray, word: int) -> np.ndarray:
        """`(P,)` lanes of one word whose threshold an overlap `(P,)` reaches."""
        return _packed([iou >= self.thresholds[lane % len(self.thresholds)] for lane in self._words[word]])

    def counting(self, word: int) -> np.ndarray:
        """`(G,)` lanes of one word in which an object counts."""
        return _packed([self.counted[lane // len(self.thresholds)] for lane in self._words[word]])

    def found(self, counting: np.ndarray) -> np.ndarray:
        """`(G,)` lanes out of `counting` in which the one that matches an object is right."""
        # pycocotools reads an annotation with id 0 as "no match": its object is taken but nobody found it
        return np.asarray(np.where(self._truths.ids != 0, counting, np.uint64(0)))

    def shared(self) -> np.ndarray:
        """`(G,)` lanes in which an object is free for any number of detections."""
        return np.asarray(np.where(self._truths.crowd, ~np.uint64(0), np.uint64(0)))


def _packed(lanes: list[np.ndarray]) -> np.ndarray:
    """Words with bit i set where `lanes[i]` is."""
    words = np.zeros(lanes[0].shape, np.uint64)
    for i, lane in enumerate(lanes):
        words |= lane.astype(np.uint64) << np.uint64(i)
    return words


def match_pairs(pairs: Pairs, lanes: Lanes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Let each detection take the best object that is still free, in every lane.

    Args:
        pairs: detections in the order in which they choose.
        lanes: what they choose for.

    Returns:
        The C detections that have a pair, ascending; `(W, C)` uint64 lanes in which each one takes an object that
        counts; `(W, C)` lanes in which it takes another one.
    """
    begins = np.flatnonzero(np.diff(pairs.found, prepend=-1))
    met = pairs.found[begins]
    offers = _offers(pairs, begins)
    right = np.zeros((lanes.num_words, len(met)), np.uint64)
    ignored = np.zeros_like(right)
    if not len(met):
        return met, right, ignored
    firsts = np.flatnonzero(np.diff(offers.seeker, prepend=-1))
    steps = _steps(offers)
    for word in range(lanes.num_words):
        counting = lanes.counting(word)
        wanted = lanes.reached(pairs.iou, word)[offers.pair] & _open_lanes(offers, counting)
        taken = _take_turns(offers, steps, wanted, lanes.shared())
        right[word] = np.bitwise_or.reduceat(taken & lanes.found(counting)[offers.truth], firsts)
        ignored[word] = np.bitwise_or.reduceat(taken & ~counting[offers.truth], firsts)
    return met, right, ignored


class _Offers(NamedTuple):
    """Objects in the order in which each detection considers them; S offers.

    Attributes:
        pair: `(S,)` number of the pair.
        seeker: `(S,)` number of the detection among those that met an object, ascending.
        truth: `(S,)` row of the object.
        kind: `(S,)` which lanes may take it: all, those where the object counts, or the others.
    """

    pair: np.ndarray
    seeker: np.ndarray
    truth: np.ndarray
    kind: np.ndarray


_ANY, _COUNTING, _IGNORED = range(3)


def _offers(pairs: Pairs, begins: np.ndarray) -> _Offers:
    """A detection chooses among objects that count, then among the others; of equal overlaps it takes the last."""
    numbers = np.diff(np.append(begins, len(pairs.found)))
    seeker = np.repeat(np.arange(len(begins)), numbers)
    choosy = numbers[seeker] > 1
    single, several = np.flatnonzero(~choosy), np.flatnonzero(choosy)
    several = several[np.lexsort((-pairs.truth[several], -pairs.iou[several]))]
    pair = np.concatenate([single, several, several])
    kind = np.repeat([_ANY, _COUNTING, _IGNORED], [len(single), len(several), len(several)])
    order = stable_order(seeker[pair])
    pair = pair[order]
    return _Offers(pair, seeker[pair], pairs.truth[pair], kind[order])


def _open_lanes(offers: _Offers, counting: np.ndarray) -> np.ndarray:
    """`(S,)` lanes that may take each offer."""
    counts = counting[offers.truth]
    everywhere = np.full_like(counts, ~np.uint64(0))
    return np.choose(offers.kind, [everywhere, counts, ~counts])


def _steps(offers: _Offers) -> list[np.ndarray]:
    """Offers that are decided in each step; no two in a step belong to linked detections and objects."""
    num_seekers = int(offers.seeker[-1]) + 1
    size = num_seekers + int(offers.truth.max()) + 1
    links = coo_array((np.ones(len(offers.pair), bool), (offers.seeker, offers.truth + num_seekers)), (size, size))
    clusters = connected_components(links, directed=False)[1][offers.seeker]
    order = stable_order(clusters)
    step = places_in_runs(clusters[order])
    return np.split(order[stable_order(step)], np.cumsum(np.bincount(step))[:-1])


def _take_turns(offers: _Offers, steps: list[np.ndarray], wanted: np.ndarray, shared: np.ndarray) -> np.ndarray:
    """`(S,)` lanes in which each offer is taken: those that want it, and whose detection and object are free."""
    seeking = np.full(int(offers.seeker[-1]) + 1, ~np.uint64(0))
    free = np.full(len(shared), ~np.uint64(0))
    for step in steps:
        seeker, truth = offers.seeker[step], offers.truth[step]
        taken = wanted[step] & seeking[seeker] & free[truth]
        wanted[step] = taken
        seeking[seeker] &= ~taken
        free[truth] &= ~taken | shared[truth]
    return wanted
