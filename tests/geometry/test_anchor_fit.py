"""Anchors fitted to boxes whose best anchors are known."""

import numpy as np
import pytest
import torch

from raydet.geometry import AnchorGenerator, bbox_overlaps
from raydet.geometry.anchor_fit import best_overlaps, fit_grid, fit_sizes, size_overlaps

METHODS = ("kmeans", "v5-kmeans", "differential_evolution")


def around(centers, num=60, spread=0.03, seed=0):
    rng = np.random.default_rng(seed)
    return np.concatenate([np.asarray(each) * np.exp(rng.normal(0, spread, (num, 2))) for each in centers])


@pytest.mark.parametrize("method", METHODS)
def test_clusters_are_found_in_order_of_area(method):
    centers = np.array([[10.0, 20], [40, 30], [100, 160]])
    found = fit_sizes(around(centers[::-1]), 3, method)
    assert np.abs(found / centers - 1).max() < 0.1


@pytest.mark.parametrize("method", METHODS[1:])
def test_evolution_is_no_worse_than_where_it_starts(method):
    sizes = np.exp(np.random.default_rng(3).normal(3.5, 0.8, (500, 2)))
    start, found = fit_sizes(sizes, 5, "kmeans"), fit_sizes(sizes, 5, method)

    def measure(anchors):
        if method == "differential_evolution":
            return size_overlaps(sizes, anchors).max(axis=1).mean()
        ratio = sizes[:, None] / anchors
        best = np.minimum(ratio, 1 / ratio).min(axis=2).max(axis=1)
        return (best * (best > 0.25)).mean()

    assert measure(found) > measure(start)


@pytest.mark.parametrize("method", METHODS)
def test_scales_and_ratios_of_all_levels_are_found_together(method):
    strides, rng = [8, 16, 32], np.random.default_rng(0)
    base = 6.0 * np.repeat(strides, 100)
    ratio = np.tile([0.5, 1.0, 2.0], 100) * np.exp(rng.normal(0, 0.02, 300))
    scales, ratios = fit_grid(np.stack([base / np.sqrt(ratio), base * np.sqrt(ratio)], axis=1), strides, 3, method)
    assert scales == pytest.approx([6.0], rel=0.1)
    assert ratios == pytest.approx([0.5, 1.0, 2.0], rel=0.1)


def test_fits_are_the_same_each_time_and_need_enough_boxes():
    sizes = around([[10, 20], [50, 30]])
    for method in METHODS:
        assert (fit_sizes(sizes, 2, method, seed=5) == fit_sizes(sizes, 2, method, seed=5)).all()
    with pytest.raises(ValueError, match="3 anchors need 3 boxes of different sizes; the data has 1"):
        fit_sizes(np.full((9, 2), 7.0), 3)


@pytest.mark.parametrize("center_offset", [0.0, 0.5])
def test_best_overlaps_are_those_with_all_anchors_of_the_maps(center_offset):
    generator = AnchorGenerator([8, 16], [0.5, 1.0, 2.0], scales=[2, 3], center_offset=center_offset)
    rng = np.random.default_rng(0)
    middle, size = rng.uniform(60, 190, (50, 2)), rng.uniform(6, 60, (50, 2))
    boxes = np.concatenate([middle - size / 2, middle + size / 2], axis=1)
    every = torch.cat(generator.grid_priors([(32, 32), (16, 16)]))
    expected = bbox_overlaps(torch.from_numpy(boxes), every.double()).max(dim=1).values.numpy()
    found = best_overlaps(boxes, generator.strides, [each.numpy().astype(float) for each in generator.base_anchors])
    assert np.abs(found - expected).max() < 1e-6
