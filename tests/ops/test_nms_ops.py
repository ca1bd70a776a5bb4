from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from raydet_ops import batched_nms, nms, nms_match, soft_nms

# The second box overlaps the first by 0.6, the third is far away.
BOXES = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 6.0], [20.0, 20.0, 30.0, 30.0]])
SCORES = torch.tensor([0.5, 0.9, 0.7])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"iou_threshold": 0.5}, [1, 2]),
        ({"iou_threshold": 0.7}, [1, 2, 0]),
        ({"iou_threshold": 0.7, "max_num": 2}, [1, 2]),
        ({"iou_threshold": 0.7, "score_threshold": 0.6}, [1, 2]),
        ({"iou_threshold": 0.62, "offset": 1}, [1, 2]),
        ({"iou_threshold": 0.62, "offset": 0}, [1, 2, 0]),
    ],
)
def test_nms_keeps_the_expected_boxes(options, expected):
    dets, keep = nms(BOXES, SCORES, **options)
    assert keep.tolist() == expected
    torch.testing.assert_close(dets, torch.cat([BOXES, SCORES[:, None]], dim=1)[keep])


def test_nms_of_arrays_returns_arrays():
    dets, keep = nms(BOXES.numpy(), SCORES.numpy(), 0.5)
    assert isinstance(dets, np.ndarray)
    assert keep.tolist() == [1, 2]


def test_nms_of_nothing_is_empty():
    dets, keep = nms(torch.zeros(0, 4), torch.zeros(0), 0.5)
    assert dets.shape == (0, 5)
    assert keep.shape == (0,)


@pytest.mark.parametrize(
    ("boxes", "scores", "offset"), [(BOXES[:, :3], SCORES, 0), (BOXES, SCORES[:2], 0), (BOXES, SCORES, 2)]
)
def test_nms_with_wrong_input_raises(boxes, scores, offset):
    with pytest.raises(ValueError, match=r"boxes|offset"):
        nms(boxes, scores, 0.5, offset=offset)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 30), st.floats(0.1, 0.9))
def test_nms_of_random_boxes_leaves_no_overlap_above_the_threshold(seed, count, threshold):
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, generator=generator) * 20
    boxes = torch.cat([corners, corners + 1 + torch.rand(count, 2, generator=generator) * 20], dim=1)
    scores = torch.rand(count, generator=generator)
    dets, keep = nms(boxes, scores, threshold)
    groups = nms_match(torch.cat([boxes, scores[:, None]], dim=1), threshold + 1e-6)
    assert [int(g[0]) for g in groups] == keep.tolist()
    assert (dets[1:, 4] <= dets[:-1, 4]).all()


def test_nms_match_groups_suppressed_boxes_behind_the_one_they_match():
    groups = nms_match(torch.cat([BOXES, SCORES[:, None]], dim=1), 0.6)
    assert [g.tolist() for g in groups] == [[1, 0], [2]]


@pytest.mark.parametrize(
    ("method", "expected"), [("naive", None), ("linear", 0.5 * 0.4), ("gaussian", 0.5 * np.exp(-(0.6**2) / 0.5))]
)
def test_soft_nms_lowers_the_overlapped_score_by_method(method, expected):
    dets, keep = soft_nms(BOXES, SCORES, iou_threshold=0.5, sigma=0.5, min_score=0.01, method=method)
    scores = dict(zip(keep.tolist(), dets[:, 4].tolist(), strict=True))
    assert scores.get(0) == (None if expected is None else pytest.approx(expected))
    assert (scores[1], scores[2]) == pytest.approx((0.9, 0.7))


def test_soft_nms_drops_scores_below_the_minimum():
    _, keep = soft_nms(BOXES, SCORES, iou_threshold=0.5, min_score=0.3)
    assert keep.tolist() == [1, 2]


@pytest.mark.parametrize("method", ["naive", "linear"])
def test_soft_nms_of_boxes_without_area_keeps_them(method):
    _, keep = soft_nms(torch.zeros(2, 4), torch.tensor([0.5, 0.9]), method=method)
    assert keep.tolist() == [1, 0]


def test_soft_nms_with_unknown_method_raises():
    with pytest.raises(ValueError, match="method"):
        soft_nms(BOXES, SCORES, method="cubic")


@pytest.mark.parametrize(
    ("cfg", "agnostic", "expected"),
    [
        ({"type": "nms", "iou_threshold": 0.5}, False, [1, 2, 0]),
        ({"type": "nms", "iou_threshold": 0.5}, True, [1, 2]),
        ({"type": "nms", "iou_threshold": 0.5, "class_agnostic": True}, False, [1, 2]),
        ({"iou_threshold": 0.5, "max_num": 2}, False, [1, 2]),
        ({"iou_thr": 0.5}, True, [1, 2]),
        ({"iou_threshold": 0.5, "split_thr": 1}, False, [1, 2, 0]),
        ({"iou_threshold": 0.5, "split_thr": 1, "max_num": 1}, False, [1]),
        ({"type": "soft_nms", "max_num": 2}, True, [1, 2]),
        (None, False, [1, 2, 0]),
    ],
)
def test_batched_nms_suppresses_within_classes(cfg, agnostic, expected):
    dets, keep = batched_nms(BOXES, SCORES, torch.tensor([0, 1, 1]), cfg, agnostic)
    assert keep.tolist() == expected
    torch.testing.assert_close(dets[:, :4], BOXES[keep])


@pytest.mark.parametrize("num", [12, 400])
def test_equal_scores_stand_as_torch_sorts_them_on_the_cpu(num):
    corners = 20.0 * torch.arange(num)
    boxes = torch.stack([corners, corners, corners + 10, corners + 10], dim=1)
    scores = torch.arange(num) % 3 / 2
    _, keep = batched_nms(boxes, scores, torch.zeros(num, dtype=torch.long), {"type": "nms", "iou_threshold": 0.5})
    assert keep.tolist() == scores.sort(descending=True).indices.tolist()


@pytest.mark.parametrize("method", ["nms", "soft_nms"])
def test_batched_nms_of_half_precision_keeps_many_classes_apart(method):
    boxes = BOXES.half() + 900
    classes = torch.tensor([400, 401, 400])
    _, keep = batched_nms(boxes, SCORES.half(), classes, {"type": method, "iou_threshold": 0.5})
    assert keep.tolist() == [1, 2, 0]


def test_batched_nms_leaves_its_config_alone():
    cfg = {"type": "nms", "iou_threshold": 0.5}
    batched_nms(BOXES, SCORES, torch.zeros(3), cfg)
    assert cfg == {"type": "nms", "iou_threshold": 0.5}


def test_batched_nms_with_unknown_type_names_the_known_ones():
    with pytest.raises(ValueError, match="soft_nms"):
        batched_nms(BOXES, SCORES, torch.zeros(3), {"type": "fuzzy_nms"})
