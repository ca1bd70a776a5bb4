from __future__ import annotations

import numpy as np
import pytest
import torch

from raydet.geometry import (
    fast_nms,
    filter_scores_and_topk,
    mask_matrix_nms,
    merge_aug_bboxes,
    merge_aug_masks,
    merge_aug_proposals,
    merge_aug_scores,
    multiclass_nms,
)

BOXES = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 9.0], [20.0, 20.0, 30.0, 30.0]])
SCORES = torch.tensor([[0.9, 0.2, 0.0], [0.8, 0.6, 0.0], [0.3, 0.01, 0.0]])
NMS = {"type": "nms", "iou_threshold": 0.5}


def test_multiclass_nms_suppresses_each_class_alone():
    dets, labels, inds = multiclass_nms(BOXES, SCORES, 0.05, NMS, return_inds=True)
    assert labels.tolist() == [0, 1, 0]
    assert dets[:, 4].tolist() == pytest.approx([0.9, 0.6, 0.3])
    assert inds.tolist() == [0, 3, 4]


def test_multiclass_nms_takes_one_box_per_class():
    per_class = torch.cat([BOXES, BOXES + 100], dim=1)
    dets, labels = multiclass_nms(per_class, SCORES, 0.05, NMS, max_num=2)
    assert labels.tolist() == [0, 1]
    torch.testing.assert_close(dets[:, :4], torch.stack([BOXES[0], BOXES[1] + 100]))


def test_multiclass_nms_applies_factors_after_the_threshold():
    dets, labels = multiclass_nms(BOXES, SCORES, 0.25, NMS, score_factors=torch.tensor([0.1, 0.1, 1.0]))
    assert dets[:, 4].tolist() == pytest.approx([0.3, 0.09, 0.06])
    assert labels.tolist() == [0, 0, 1]


def test_multiclass_nms_of_nothing_above_the_threshold_is_empty():
    dets, labels = multiclass_nms(BOXES, SCORES, 0.95, NMS)
    assert dets.shape == (0, 5)
    assert labels.shape == (0,)


def test_fast_nms_drops_boxes_and_carries_coefficients():
    coefficients = torch.arange(6.0).view(3, 2)
    dets, labels, rows = fast_nms(BOXES, SCORES, coefficients, 0.05, 0.5, top_k=10, max_num=2)
    assert labels.tolist() == [0, 1]
    assert rows.tolist() == [[0, 1], [2, 3]]
    assert dets[:, 4].tolist() == pytest.approx([0.9, 0.6])


@pytest.mark.parametrize(
    ("results", "expected"),
    [(BOXES[:, 0], [0, 0]), ([BOXES[:, 3]], [[10, 9]]), ({"y": BOXES[:, 3]}, {"y": [10, 9]}), (None, None)],
)
def test_filter_scores_and_topk_takes_the_rows_of_the_best(results, expected):
    scores, labels, rows, chosen = filter_scores_and_topk(SCORES, 0.05, 2, results)
    assert scores.tolist() == pytest.approx([0.9, 0.8])
    assert labels.tolist() == [0, 0]
    assert rows.tolist() == [0, 1]
    plain = {k: v.tolist() for k, v in chosen.items()} if isinstance(chosen, dict) else chosen
    plain = [v.tolist() for v in chosen] if isinstance(chosen, list) else plain
    assert (plain.tolist() if isinstance(plain, torch.Tensor) else plain) == expected


def meta(flip: bool, direction: str = "horizontal") -> dict:
    return {
        "img_shape": (40, 80, 3),
        "scale_factor": np.ones(4, np.float32) * 2,
        "flip": flip,
        "flip_direction": direction,
    }


@pytest.mark.parametrize("cfg", [{"nms": {"iou_threshold": 0.5}, "max_per_img": 2}, {"nms_thr": 0.5, "max_num": 2}])
def test_merge_aug_proposals_suppresses_in_the_original_image(cfg):
    plain = torch.tensor([[0.0, 0.0, 20.0, 20.0, 0.9], [40.0, 0.0, 60.0, 20.0, 0.5]])
    flipped = torch.tensor([[60.0, 0.0, 80.0, 20.0, 0.8]])
    merged = merge_aug_proposals([plain, flipped], [meta(False), meta(True)], cfg)
    assert merged[:, :4].tolist() == [[0, 0, 10, 10], [20, 0, 30, 10]]


@pytest.mark.parametrize("cfg", [{}, {"nms": {"iou_threshold": 0.5}, "nms_thr": 0.7, "max_per_img": 2}])
def test_merge_aug_proposals_with_unclear_options_raises(cfg):
    with pytest.raises(ValueError, match="iou_threshold"):
        merge_aug_proposals([], [], cfg)


def test_merge_aug_bboxes_averages_in_the_original_image():
    boxes, scores = merge_aug_bboxes(
        [torch.tensor([[0.0, 0.0, 20.0, 20.0]]), torch.tensor([[56.0, 0.0, 80.0, 20.0]])],
        [torch.tensor([[0.2]]), torch.tensor([[0.4]])],
        [[meta(False)], [meta(True)]],
    )
    assert boxes.tolist() == [[0, 0, 11, 10]]
    assert scores.tolist() == [[pytest.approx(0.3)]]


@pytest.mark.parametrize("make", [torch.tensor, np.array])
def test_merge_aug_scores_averages_both_kinds(make):
    assert merge_aug_scores([make([0.25, 1.0]), make([0.75, 0.0])]).tolist() == [0.5, 0.5]


@pytest.mark.parametrize(("direction", "axes"), [("horizontal", 3), ("vertical", 2), ("diagonal", (2, 3))])
def test_merge_aug_masks_undoes_flips(direction, axes):
    masks = np.arange(12.0).reshape(1, 1, 3, 4)
    merged = merge_aug_masks([masks, np.flip(masks, axes)], [[meta(False)], [meta(True, direction)]], None)
    np.testing.assert_array_equal(merged, masks)


def test_merge_aug_masks_weighs():
    masks = [np.zeros((1, 1, 2, 2)), np.ones((1, 1, 2, 2))]
    assert merge_aug_masks(masks, [[meta(False)]] * 2, None, weights=[1, 3]).max() == 0.75


def strips() -> torch.Tensor:
    """Three masks: the second covers half of the first, the third touches nothing."""
    masks = torch.zeros(3, 4, 4)
    masks[0, :2], masks[1, :1], masks[2, 3:] = 1, 1, 1
    return masks


@pytest.mark.parametrize(("kernel", "factor"), [("gaussian", np.exp(-2 * 0.25)), ("linear", 0.5)])
def test_mask_matrix_nms_lowers_overlapping_masks(kernel, factor):
    scores, labels, masks, inds = mask_matrix_nms(
        strips(), torch.tensor([1, 1, 1]), torch.tensor([0.9, 0.8, 0.7]), kernel=kernel
    )
    assert inds.tolist() == [0, 2, 1]
    assert scores.tolist() == pytest.approx([0.9, 0.7, 0.8 * factor])
    assert torch.equal(masks, strips()[inds])
    assert labels.tolist() == [1, 1, 1]


def test_mask_matrix_nms_leaves_other_classes_alone():
    scores, *_ = mask_matrix_nms(strips(), torch.tensor([1, 2, 1]), torch.tensor([0.9, 0.8, 0.7]))
    assert scores.tolist() == pytest.approx([0.9, 0.8, 0.7])


@pytest.mark.parametrize(
    ("options", "expected"), [({"filter_thr": 0.6}, [0, 2]), ({"max_num": 1}, [0]), ({"nms_pre": 2}, [0, 1])]
)
def test_mask_matrix_nms_limits_what_it_returns(options, expected):
    *_, inds = mask_matrix_nms(strips(), torch.ones(3), torch.tensor([0.9, 0.8, 0.7]), **options)
    assert inds.tolist() == expected


def test_mask_matrix_nms_of_nothing_is_empty():
    scores, labels, masks, inds = mask_matrix_nms(torch.zeros(0, 4, 4), torch.zeros(0), torch.zeros(0))
    assert (len(scores), len(labels), masks.shape, len(inds)) == (0, 0, (0, 4, 4), 0)


@pytest.mark.parametrize(("count", "kernel"), [(3, "cubic"), (2, "linear")])
def test_mask_matrix_nms_with_wrong_arguments_raises(count, kernel):
    with pytest.raises(ValueError, match=r"kernel|masks"):
        mask_matrix_nms(strips(), torch.ones(count), torch.ones(3), kernel=kernel)


def test_multiclass_nms_of_no_boxes_is_empty():
    dets, labels = multiclass_nms(torch.zeros(0, 8), torch.zeros(0, 3), 0.05, NMS)
    assert dets.shape == (0, 5)
    assert labels.shape == (0,)
