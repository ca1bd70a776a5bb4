"""Anchors fitted to the boxes of a data set: by k-means on overlaps (arXiv:1612.08242), refined by evolution.

Sizes are `(G, 2)` arrays of widths and heights in pixels of the network's input.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, differential_evolution

Array = NDArray[np.float64]
Method = Literal["kmeans", "v5-kmeans", "differential_evolution"]

MAX_SIZES = 2000
"""Boxes that evolution looks at; more change its result by less than it varies itself."""
RANGE = float(np.log(3.0))
"""How far evolution goes from where it starts, as the logarithm of a factor."""
RATIO_LIMIT = 4.0
"""Between the sides of a box and its anchor; beyond it YOLOv5 gives the box no anchor."""


def fit_sizes(
    sizes: Array,
    k: int,
    method: Method = "kmeans",
    iterations: int = 300,
    seed: int = 0,
    strides: Sequence[float] | None = None,
) -> Array:
    """`k` anchors `(k, 2)` in order of their area.

    Args:
        sizes: of the boxes.
        k: how many.
        method: "kmeans"; "v5-kmeans" goes on from its result by random changes that lower the ratio of sides;
            "differential_evolution" goes on to raise the mean overlap.
        iterations: of k-means, and of evolution.
        seed: of random draws.
        strides: of the levels that get equal shares of the anchors, the smallest anchors where the stride is smallest.
            Differential evolution then takes boxes to lie as far from the nearest place as they do on average.

    Raises:
        ValueError: fewer than `k` different boxes.
    """
    rng = np.random.default_rng(seed)
    sizes = _valid(sizes, k)
    shift = 0.0 if strides is None else np.repeat(np.sort(strides) / 4, k // len(strides))[:, None]
    start = np.log(_kmeans(sizes, k, iterations, rng)).ravel()
    fit = _Fit(sizes, _by_area, shift)
    return fit.anchors(fit.refine(start, method, iterations, rng))


def _by_area(params: Array) -> Array:
    """Anchors `(k, 2)` from the logarithms of their sides, the smallest first."""
    anchors = np.exp(params.reshape(-1, 2))
    return anchors[np.argsort(anchors.prod(axis=1), kind="stable")]


def fit_grid(
    sizes: Array,
    strides: Sequence[float],
    k: int,
    method: Method = "kmeans",
    iterations: int = 300,
    seed: int = 0,
    bases: Sequence[float] | None = None,
) -> tuple[list[float], list[float]]:
    """Scales and ratios (height over width) of `k` anchors at each place of every level, for `AnchorGenerator`.

    All ways to write `k` as a number of scales times a number of ratios are tried. The best mean overlap wins, where
    boxes lie as far from the nearest place of a level as they do on average.

    Args:
        sizes: of the boxes.
        strides: of each level in pixels.
        k: scales times ratios.
        method: as for `fit_sizes`; k-means moves all levels together here.
        iterations: of k-means, and of evolution.
        seed: of random draws.
        bases: base size of each level in pixels; the stride when None.

    Raises:
        ValueError: no boxes.
    """
    sizes, levels = _valid(sizes, 1), np.log(np.asarray(bases or strides, np.float64))
    shift = np.repeat(np.asarray(strides, np.float64) / 4, k)[:, None]
    found = []
    for num in (n for n in range(1, k + 1) if k % n == 0):
        fit = _Fit(sizes, lambda params, num=num: grid_sizes(levels, params[:num], params[num:]), shift)  # type: ignore[misc]
        start = _tied_kmeans(sizes, levels, num, k // num, iterations)
        params = fit.refine(start, method, iterations, np.random.default_rng(seed))
        found.append((fit.overlap(params), np.exp(np.sort(params[:num])), np.exp(np.sort(params[num:]))))
    _, scales, ratios = max(found, key=lambda each: each[0])
    return scales.tolist(), ratios.tolist()


def grid_sizes(log_bases: Array, log_scales: Array, log_ratios: Array) -> Array:
    """Anchors `(levels * scales * ratios, 2)` of all combinations."""
    size = (log_bases[:, None] + log_scales).reshape(-1, 1)
    return np.exp(np.stack([size - log_ratios / 2, size + log_ratios / 2], axis=-1)).reshape(-1, 2)


def size_overlaps(sizes: Array, anchors: Array, shift: Array | float = 0.0) -> Array:
    """IoU `(G, A)` of boxes and anchors whose centers are `shift` (one number or `(A, 1)`) apart in both directions."""
    inner = _inner(sizes[:, None], anchors, shift)
    overlaps: Array = inner / (sizes.prod(axis=-1)[:, None] + anchors.prod(axis=-1) - inner)
    return overlaps


def best_overlaps(boxes: Array, strides: Sequence[tuple[float, float]], base_anchors: Sequence[Array]) -> Array:
    """IoU `(G,)` of each box with the best anchor of all places and levels; the maps are taken as endless.

    Args:
        boxes: `(G, 4)` xyxy in pixels.
        strides: per level (x, y).
        base_anchors: per level the anchors `(A, 4)` of the first cell.
    """
    centers, sizes = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    best = np.zeros(len(boxes))
    for stride, anchors in zip(strides, base_anchors, strict=True):
        for anchor in anchors:
            size, offset = anchor[2:] - anchor[:2], (anchor[2:] + anchor[:2]) / 2
            shift = np.abs((centers - offset + np.divide(stride, 2)) % stride - np.divide(stride, 2))
            inner = _inner(sizes, size, shift)
            best = np.maximum(best, inner / (sizes.prod(axis=1) + size.prod() - inner))
    return best


def _inner(sizes: Array, others: Array, shift: Array | float) -> Array:
    """Area that boxes have in common when their centers are `shift` apart."""
    sides = np.minimum(np.minimum(sizes, others), (sizes + others) / 2 - shift)
    area: Array = np.clip(sides, 0, None).prod(axis=-1)
    return area


def _valid(sizes: Array, k: int) -> Array:
    sizes = sizes[(sizes > 0).all(axis=1)]
    if len(np.unique(sizes, axis=0)) < k:
        raise ValueError(f"{k} anchors need {k} boxes of different sizes; the data has {len(np.unique(sizes, axis=0))}")
    return sizes


def _kmeans(sizes: Array, k: int, iterations: int, rng: np.random.Generator) -> Array:
    """Lloyd's algorithm with the overlap as nearness; it begins with boxes that are far from each other."""
    centers = sizes[rng.integers(len(sizes), size=1)]
    while len(centers) < k:
        far = (1 - size_overlaps(sizes, centers).max(axis=1)) ** 2
        centers = np.concatenate([centers, sizes[rng.choice(len(sizes), size=1, p=far / far.sum())]])
    nearest = np.full(len(sizes), -1)
    for _ in range(iterations):
        overlaps = size_overlaps(sizes, centers)
        if (overlaps.argmax(axis=1) == nearest).all():
            break
        nearest = overlaps.argmax(axis=1)
        for i in range(k):
            mine = sizes[nearest == i]
            centers[i] = mine.mean(axis=0) if len(mine) else sizes[overlaps.max(axis=1).argmin()]
    return centers


def _tied_kmeans(sizes: Array, log_bases: Array, num_scales: int, num_ratios: int, iterations: int) -> Array:
    """Log scales and log ratios whose sums with the levels are nearest to the boxes: k-means with shared centers."""
    log_size, log_ratio = np.log(sizes).mean(axis=1), np.log(sizes[:, 1] / sizes[:, 0])
    ratios = _line_kmeans(log_ratio, num_ratios, iterations)
    middle = float(np.median(log_size - log_bases[np.abs(log_size[:, None] - log_bases - np.log(6)).argmin(axis=1)]))
    scales = middle + (np.arange(num_scales) - (num_scales - 1) / 2) * np.log(2) / num_scales
    for _ in range(iterations):
        centers = log_bases[:, None] + scales
        nearest = np.abs(log_size[:, None] - centers.ravel()).argmin(axis=1)
        offsets, which = log_size - log_bases[nearest // num_scales], nearest % num_scales
        moved = np.array([offsets[which == i].mean() if (which == i).any() else scales[i] for i in range(num_scales)])
        if np.allclose(moved, scales):
            break
        scales = moved
    return np.concatenate([scales, ratios])


def _line_kmeans(values: Array, k: int, iterations: int) -> Array:
    centers = np.quantile(values, (np.arange(k) + 0.5) / k)
    for _ in range(iterations):
        nearest = np.abs(values[:, None] - centers).argmin(axis=1)
        centers = np.array([values[nearest == i].mean() if (nearest == i).any() else centers[i] for i in range(k)])
    return centers


@dataclass(frozen=True)
class _Fit:
    """Boxes, and how parameters (logarithms) become anchors; these are `shift` away from the boxes' centers."""

    sizes: Array
    anchors: Callable[[Array], Array]
    shift: Array | float = 0.0

    def overlap(self, params: Array) -> float:
        """Mean overlap of the boxes with their best anchors."""
        return float(size_overlaps(self.sizes, self.anchors(params), self.shift).max(axis=1).mean())

    def side_ratio(self, params: Array) -> float:
        """Mean of the smaller ratio of sides to the best anchor; 0 for a box that is too different from all."""
        ratios = self.sizes[:, None] / self.anchors(params)
        best = np.minimum(ratios, 1 / ratios).min(axis=-1).max(axis=1)
        return float((best * (best > 1 / RATIO_LIMIT)).mean())

    def refine(self, start: Array, method: Method, iterations: int, rng: np.random.Generator) -> Array:
        """Parameters of better anchors than those of `start`."""
        if method == "kmeans":
            return start
        few = self
        if len(self.sizes) > MAX_SIZES:
            few = replace(self, sizes=self.sizes[rng.choice(len(self.sizes), MAX_SIZES, replace=False)])
        if method == "v5-kmeans":
            return _mutated(start, few.side_ratio, iterations, rng)

        def distance(params: Array) -> float:
            return 1 - few.overlap(params)

        result = differential_evolution(
            distance,
            Bounds(start - RANGE, start + RANGE),
            maxiter=iterations,
            popsize=4,
            x0=start,
            polish=False,
            rng=rng,
        )
        return np.asarray(result.x, np.float64)


def _mutated(params: Array, fitness: Callable[[Array], float], iterations: int, rng: np.random.Generator) -> Array:
    """The best of random changes of parameters, each of the best before it."""
    best = fitness(params)
    for _ in range(iterations):
        changed = params + rng.normal(0, 0.1, params.shape) * (rng.random(params.shape) < 0.9) * rng.random()
        value = fitness(changed)
        if value > best:
            best, params = value, changed
    return params
