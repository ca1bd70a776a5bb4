from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from raydet.geometry import (
    BboxOverlaps2D,
    anchor_inside_flags,
    bbox2distance,
    bbox2result,
    bbox2roi,
    bbox_cxcywh_to_xyxy,
    bbox_flip,
    bbox_mapping,
    bbox_mapping_back,
    bbox_overlaps,
    bbox_rescale,
    bbox_xyxy_to_cxcywh,
    clip_boxes,
    distance2bbox,
    find_inside_bboxes,
    images_to_levels,
    roi2bbox,
    select_single_mlvl,
    unmap,
)

A = torch.tensor([[0.0, 0.0, 10.0, 10.0], [20.0, 20.0, 30.0, 40.0]])
B = torch.tensor([[5.0, 0.0, 15.0, 10.0], [0.0, 0.0, 5.0, 5.0], [10.0, 10.0, 20.0, 20.0]])


def random_boxes(seed: int, count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, generator=generator) * 50
    return torch.cat([corners, corners + 0.1 + torch.rand(count, 2, generator=generator) * 50], dim=1)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("iou", [[1 / 3, 1 / 4, 0], [0, 0, 0]]),
        ("iof", [[1 / 2, 1 / 4, 0], [0, 0, 0]]),
        ("giou", [[1 / 3, 1 / 4, -1 / 2], [-900 / 1000 + 1 / 5, -975 / 1200, -100 / 600 + 1 / 6]]),
    ],
)
def test_bbox_overlaps_of_literal_boxes_is_exact(mode, expected):
    overlaps = bbox_overlaps(A, B, mode)
    torch.testing.assert_close(overlaps[0], torch.tensor(expected)[0])
    if mode != "giou":
        torch.testing.assert_close(overlaps, torch.tensor(expected))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["iou", "iof", "giou"]))
def test_bbox_overlaps_aligned_is_the_diagonal(seed, mode):
    first, second = random_boxes(seed, 6), random_boxes(seed + 1, 6)
    every = bbox_overlaps(first, second, mode)
    torch.testing.assert_close(bbox_overlaps(first, second, mode, is_aligned=True), every.diagonal())
    assert every.max() <= 1 + 1e-6
    assert every.min() >= (-1 if mode == "giou" else 0)


def test_bbox_overlaps_takes_batches():
    batched = bbox_overlaps(A.expand(3, 2, 4), B.expand(3, 3, 4))
    torch.testing.assert_close(batched, bbox_overlaps(A, B).expand(3, 2, 3))


@pytest.mark.parametrize(("rows", "columns"), [(0, 3), (2, 0), (0, 0)])
def test_bbox_overlaps_of_nothing_has_the_right_shape(rows, columns):
    assert bbox_overlaps(torch.zeros(rows, 4), torch.zeros(columns, 4)).shape == (rows, columns)


@pytest.mark.parametrize(
    ("first", "second", "options"),
    [(A, B, {"mode": "dice"}), (A, B, {"is_aligned": True}), (A[:, :3], B, {}), (A[None], B, {})],
)
def test_bbox_overlaps_with_wrong_arguments_raises(first, second, options):
    with pytest.raises(ValueError, match=r"mode|aligned|boxes|batches"):
        bbox_overlaps(first, second, **options)


def test_overlap_calculator_in_half_precision_is_close():
    scored = torch.cat([A, torch.ones(2, 1)], dim=1)
    overlaps = BboxOverlaps2D(scale=512.0, dtype="fp16")(scored, B)
    assert overlaps.dtype == torch.float32
    torch.testing.assert_close(overlaps, bbox_overlaps(A, B), atol=1e-2, rtol=1e-2)


def test_overlap_calculator_with_unknown_dtype_raises():
    with pytest.raises(ValueError, match="fp16"):
        BboxOverlaps2D(dtype="int8")


@pytest.mark.parametrize(
    ("direction", "expected"),
    [("horizontal", [85, 0, 95, 10]), ("vertical", [5, 40, 15, 50]), ("diagonal", [85, 40, 95, 50])],
)
def test_bbox_flip_mirrors_in_the_image(direction, expected):
    assert bbox_flip(B[:1], (50, 100, 3), direction).tolist() == [expected]


def test_bbox_flip_with_unknown_direction_raises():
    with pytest.raises(ValueError, match="sideways"):
        bbox_flip(B, (50, 100), "sideways")


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.booleans(), st.sampled_from(["horizontal", "vertical", "diagonal"]), st.floats(0.2, 4))
def test_bbox_mapping_back_is_the_inverse(seed, flip, direction, scale):
    boxes = random_boxes(seed, 5)
    frame = ((120, 160, 3), np.array([scale, 1.5, scale, 1.5], dtype=np.float32), flip, direction)
    torch.testing.assert_close(bbox_mapping_back(bbox_mapping(boxes, *frame), *frame), boxes, atol=1e-3, rtol=1e-4)


def test_box_forms_are_inverse():
    torch.testing.assert_close(bbox_cxcywh_to_xyxy(bbox_xyxy_to_cxcywh(A)), A)
    assert bbox_xyxy_to_cxcywh(A).tolist() == [[5, 5, 10, 10], [25, 30, 10, 20]]


def test_rois_and_boxes_convert_into_each_other():
    rois = bbox2roi([A, torch.zeros(0, 5), B])
    assert rois[:, 0].tolist() == [0, 0, 2, 2, 2]
    back = roi2bbox(rois)
    torch.testing.assert_close(back[0], A)
    torch.testing.assert_close(back[1], B)


def test_bbox2result_groups_by_class():
    dets = torch.cat([B, torch.ones(3, 1)], dim=1)
    result = bbox2result(dets, torch.tensor([2, 0, 2]), 3)
    assert [len(r) for r in result] == [1, 0, 2]
    assert [r.shape for r in bbox2result(torch.zeros(0, 5), torch.zeros(0), 2)] == [(0, 5), (0, 5)]


@pytest.mark.parametrize("max_shape", [(20, 30, 3), torch.tensor([20, 30])])
def test_clip_boxes_keeps_boxes_in_the_image(max_shape):
    boxes = torch.tensor([[-5.0, 3.0, 40.0, 25.0]])
    assert clip_boxes(boxes, max_shape).tolist() == [[0, 3, 30, 20]]
    assert clip_boxes(boxes, max_shape, margin=1).tolist() == [[0, 3, 29, 19]]


def test_clip_boxes_takes_one_size_per_image():
    boxes = torch.full((2, 3, 4), 99.0)
    clipped = clip_boxes(boxes, [(20, 30), (5, 6)])
    assert clipped[:, 0].tolist() == [[30, 20, 30, 20], [6, 5, 6, 5]]
    with pytest.raises(ValueError, match="image sizes"):
        clip_boxes(boxes[0], [(20, 30), (5, 6)])


def test_distances_and_boxes_are_inverse():
    points = torch.tensor([[2.0, 3.0], [25.0, 25.0]])
    distances = bbox2distance(points, A)
    assert distances.tolist() == [[2, 3, 8, 7], [5, 5, 5, 15]]
    torch.testing.assert_close(distance2bbox(points, distances), A)
    assert bbox2distance(points, A, max_dis=6, eps=0.5).max() == 5.5
    assert distance2bbox(points, distances, (8, 9)).tolist()[0] == [0, 0, 9, 8]


def test_bbox_rescale_keeps_the_center_and_the_image_index():
    assert bbox_rescale(A[:1], 2.0).tolist() == [[-5, -5, 15, 15]]
    assert bbox_rescale(torch.tensor([[7.0, 0, 0, 10, 10]]), 0.5).tolist() == [[7, 2.5, 2.5, 7.5, 7.5]]


def test_find_inside_bboxes_keeps_what_touches_the_image():
    boxes = torch.tensor([[-5.0, 0, 1, 5], [-5, 0, 0, 5], [9, 9, 12, 12], [10, 0, 12, 5]])
    assert find_inside_bboxes(boxes, 10, 10).tolist() == [True, False, True, False]


@pytest.mark.parametrize(
    ("border", "expected"), [(-1, [True, True, False]), (0, [True, False, False]), (6, [True, True, False])]
)
def test_anchor_inside_flags_allow_a_border(border, expected):
    anchors = torch.tensor([[0.0, 0, 5, 5], [-5, 0, 5, 5], [0, 0, 5, 5]])
    assert anchor_inside_flags(anchors, torch.tensor([True, True, False]), (10, 10), border).tolist() == expected


def test_level_helpers_split_and_restore():
    levels = images_to_levels([torch.arange(5), torch.arange(5) + 10], [3, 2])
    assert [level.tolist() for level in levels] == [[[0, 1, 2], [10, 11, 12]], [[3, 4], [13, 14]]]
    assert [level.tolist() for level in select_single_mlvl(levels, 1)] == [[10, 11, 12], [13, 14]]
    inside = torch.tensor([True, False, True])
    assert unmap(torch.tensor([5, 6]), 3, inside, fill=-1).tolist() == [5, -1, 6]
    assert unmap(torch.ones(2, 2), 3, inside).tolist() == [[1, 1], [0, 0], [1, 1]]
