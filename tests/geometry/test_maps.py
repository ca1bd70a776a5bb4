"""Feature maps and heatmaps."""

from __future__ import annotations

import pytest
import torch

from raydet.geometry import (
    bbox_overlaps,
    center_of_mass,
    flip_tensor,
    gaussian_radius,
    gen_gaussian_target,
    generate_coordinate,
    get_local_maximum,
    get_topk_from_heatmap,
    of_class,
    transpose_and_gather_feat,
)

MAP = torch.arange(12.0).view(1, 2, 2, 3)


@pytest.mark.parametrize(("direction", "corner"), [("horizontal", 2), ("vertical", 3), ("diagonal", 5)])
def test_flip_brings_another_corner_to_the_front(direction, corner):
    flipped = flip_tensor(MAP, direction)
    assert flipped[0, :, 0, 0].tolist() == [corner, corner + 6]
    torch.testing.assert_close(flip_tensor(flipped, direction), MAP)


def test_flip_names_the_directions():
    with pytest.raises(ValueError, match=r"'diagonal'.*got 'sideways'"):
        flip_tensor(MAP, "sideways")


def test_center_of_mass_is_row_and_column():
    mask = torch.zeros(5, 6)
    mask[1:4, 2:6] = 1
    assert [each.item() for each in center_of_mass(mask)] == [2, 3.5]
    assert [each.item() for each in center_of_mass(mask * 0)] == [0, 0]
    assert [each.tolist() for each in center_of_mass(torch.stack([mask * 0, mask]))] == [[0, 2], [0, 3.5]]
    assert [each.shape for each in center_of_mass(torch.zeros(0, 4, 5))] == [(0,), (0,)]


def test_coordinates_span_each_map():
    grid = generate_coordinate((2, 7, 3, 5), "cpu")
    assert grid.shape == (2, 2, 3, 5)
    assert grid[1, 0, 0].tolist() == [-1, -0.5, 0, 0.5, 1]
    assert grid[0, 1, :, 0].tolist() == [-1, 0, 1]


def test_only_peaks_remain():
    heat = torch.tensor([[[[1.0, 2.0, 1.0, 0.5], [0.0, 1.0, 0.0, 3.0]]]])
    assert get_local_maximum(heat).tolist() == [[[[0, 2, 0, 0], [0, 0, 0, 3]]]]


def test_the_best_cells_say_where_they_are():
    scores, places, classes, rows, columns = get_topk_from_heatmap(MAP, k=3)
    assert (scores.tolist(), places.tolist(), classes.tolist()) == ([[11, 10, 9]], [[5, 4, 3]], [[1, 1, 1]])
    assert (rows.tolist(), columns.tolist()) == ([[1, 1, 1]], [[2, 1, 0]])
    assert transpose_and_gather_feat(MAP, places).tolist() == [[[5, 11], [4, 10], [3, 9]]]


@pytest.mark.parametrize("size", [(10.0, 14.0), (3.0, 40.0), (25.0, 25.0)])
def test_corners_off_by_the_radius_overlap_just_enough(size):
    height, width = size
    radius = gaussian_radius(size, 0.3)
    moves = torch.tensor([[1.0, 1, 1, 1], [1, 1, -1, -1], [-1, -1, 1, 1]]) * radius
    box = torch.tensor([[0.0, 0.0, width, height]])
    assert bbox_overlaps(box, box + moves).min().item() == pytest.approx(0.3, rel=1e-4)


@pytest.mark.parametrize(("center", "window"), [((3, 4), (1, 6, 2, 7)), ((0, 7), (0, 3, 5, 8))])
def test_a_bump_rises_around_its_cell_and_is_cut_at_the_border(center, window):
    heat = torch.zeros(8, 9)
    assert gen_gaussian_target(heat, center, 2, k=0.5) is heat
    left, right, top, bottom = window
    assert heat[center[1], center[0]] == heat.max() == 0.5
    assert (heat[top:bottom, left:right] > 0).all()
    heat[top:bottom, left:right] = 0
    assert not heat.any()


def test_bumps_do_not_lower_each_other():
    heat = torch.full((5, 5), 0.7)
    gen_gaussian_target(heat, (2, 2), 2)
    assert heat.min() == pytest.approx(0.7)
    assert heat[2, 2] == 1


@pytest.mark.parametrize("num", [0, 2])
def test_boxes_of_each_class_are_picked(num):
    codes = torch.arange(24.0).view(2, 12)[:num]
    assert of_class(codes, torch.tensor([2, 0])[:num]).tolist() == [[8, 9, 10, 11], [12, 13, 14, 15]][:num]
    assert torch.equal(of_class(codes[:, :4], torch.tensor([2, 0])[:num]), codes[:, :4])
