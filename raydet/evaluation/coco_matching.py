"""The matching of COCO: which detections of a shard of images are right, and how shards become one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from raydet.evaluation.coco_columns import AnyObjects, Found, Truths, take
from raydet.evaluation.coco_lanes import Lanes, in_ranges, match_pairs
from raydet.evaluation.coco_order import falling_order, places_in_runs, positions, stable_order
from raydet.evaluation.coco_overlaps import overlapping_pairs


@dataclass(frozen=True)
class Request:
    """What to compute.

    Attributes:
        iou_type: "bbox" or "segm".
        image_ids: images that count.
        category_ids: categories that count, K of them.
        iou_thrs: `(T,)` overlaps above 0.
        max_dets: M numbers of detections per image and category that count, ascending.
        use_categories: False treats all categories as one, as for proposals.
    """

    iou_type: str
    image_ids: Sequence[int]
    category_ids: Sequence[int]
    iou_thrs: np.ndarray
    max_dets: Sequence[int]
    use_categories: bool = True

    @property
    def num_categories(self) -> int:
        """How many categories are told apart."""
        return len(np.unique(self.category_ids)) if self.use_categories else 1


@dataclass(frozen=True)
class Matches:
    """What became of D detections, of which C met an object; A ranges of sizes, W words of 64 lanes.

    Lane `area * T + t` is threshold t in one range of sizes. Detections stand by category, best first; equal ones by
    image and rank.

    Attributes:
        images: `(D,)` image ids.
        categories: `(D,)` positions of the categories in ascending order of their ids.
        ranks: `(D,)` places among the detections of the same image and category, 0 for the best.
        scores: `(D,)` float64.
        counted: `(A, D)` bool, whether it is wrong where it has no match.
        met: `(C,)` the detections that overlap an object enough for some threshold, ascending.
        right: `(W, C)` uint64, the lanes in which it matches an object that counts.
        ignored: `(W, C)` uint64, the lanes in which it matches one that does not.
        num_truths: `(A, K)` objects that count.
    """

    images: np.ndarray
    categories: np.ndarray
    ranks: np.ndarray
    scores: np.ndarray
    counted: np.ndarray
    met: np.ndarray
    right: np.ndarray
    ignored: np.ndarray
    num_truths: np.ndarray


def match_shard(truths: Truths, found: Found, request: Request) -> Matches:
    """Match the detections of the images of `request`.

    Args:
        truths: objects, at least those of these images.
        found: detections, at least those of these images; others are left out.
        request: what to compute.

    Raises:
        ValueError: a threshold is not above 0.
    """
    if not (request.iou_thrs > 0).all():
        raise ValueError(f"iou_thrs must be above 0, got {request.iou_thrs.tolist()}")
    truths, truth_groups = _by_group(truths, request)
    found, groups = _by_group(found, request)
    ranks = places_in_runs(groups)
    kept = np.flatnonzero(ranks < request.max_dets[-1])
    if len(kept) < len(ranks):
        found, groups, ranks = take(found, kept), groups[kept], ranks[kept]
    lanes = Lanes(request.iou_thrs, truths)
    pairs = overlapping_pairs(truths, found, truth_groups, groups, lanes.thresholds.min())
    met, right, ignored = match_pairs(pairs, lanes)
    num_kinds = request.num_categories
    kinds = truth_groups % num_kinds
    matches = Matches(
        images=found.images,
        categories=groups % num_kinds,
        ranks=ranks,
        scores=found.scores,
        counted=in_ranges(found.areas) & ~found.spared,
        met=met,
        right=right,
        ignored=ignored,
        num_truths=np.stack([np.bincount(kinds[row], minlength=num_kinds) for row in lanes.counted]),
    )
    return _best_first(matches)


def merge(shards: Sequence[Matches]) -> Matches:
    """Matches of several shards as those of one.

    Args:
        shards: at least one; no image in two of them.
    """
    columns = {f.name: [getattr(shard, f.name) for shard in shards] for f in fields(Matches)}
    starts = np.cumsum([0] + [len(shard.images) for shard in shards[:-1]])
    columns["met"] = [met + start for met, start in zip(columns["met"], starts, strict=True)]
    joined = {name: np.concatenate(parts, axis=-1) for name, parts in columns.items()}
    return _best_first(Matches(**{**joined, "num_truths": np.sum(columns["num_truths"], axis=0)}))


def _best_first(matches: Matches) -> Matches:
    """The same in the order that `Matches` promises."""
    order = stable_order(matches.images - matches.images.min(initial=0))  # ranks already ascend within an image
    order = stable_order(matches.categories, falling_order(matches.scores, order))
    places = np.empty_like(order)
    places[order] = np.arange(len(order))
    met = places[matches.met]
    met_order = stable_order(met)
    return Matches(
        images=matches.images[order],
        categories=matches.categories[order],
        ranks=matches.ranks[order],
        scores=matches.scores[order],
        counted=matches.counted[:, order],
        met=met[met_order],
        right=matches.right[:, met_order],
        ignored=matches.ignored[:, met_order],
        num_truths=matches.num_truths,
    )


def _by_group(objects: AnyObjects, request: Request) -> tuple[AnyObjects, np.ndarray]:
    """What belongs to the request, ordered by image and category, best first; `(N,)` numbers of these groups."""
    images = positions(objects.images, np.unique(request.image_ids))
    kinds = positions(objects.categories, np.unique(request.category_ids))
    rows = np.flatnonzero((images >= 0) & (kinds >= 0))
    if len(rows) < len(objects):
        objects, images, kinds = take(objects, rows), images[rows], kinds[rows]
    order = None
    if not request.use_categories:  # the order of categories still decides between equal scores
        order, kinds = stable_order(kinds), np.zeros_like(kinds)
    if isinstance(objects, Found):
        order = falling_order(objects.scores, order)
    groups = images * request.num_categories + kinds
    order = stable_order(groups, order)
    return take(objects, order), groups[order]
