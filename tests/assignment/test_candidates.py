"""Assigners that choose among candidates, by hand-made examples."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from raydet.assignment import (
    ATSSAssigner,
    CenterRegionAssigner,
    GridAssigner,
    PointAssigner,
    RegionAssigner,
    SimOTAAssigner,
    TaskAlignedAssigner,
    UniformAssigner,
)
from raydet.assignment.atss import nearest_per_level
from raydet.assignment.candidates import best_boxes, depth, mark, resolve
from raydet.assignment.sim_ota import cheapest, class_cost


def squares(xs: list[float], half: float = 5, y: float = 5) -> Tensor:
    return torch.tensor([[x - half, y - half, x + half, y + half] for x in xs])


GT = torch.tensor([[0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 40.0, 10.0]])
LABELS = torch.tensor([1, 0])


# The shapes that they share


def test_depth_is_the_distance_to_the_nearest_side():
    points = torch.tensor([[5.0, 5.0], [1.0, 4.0], [12.0, 5.0]])
    assert depth(points, GT[0]).tolist() == [5, 1, -2]


def test_a_box_goes_to_the_claimant_it_prefers():
    claims = torch.tensor([[True, True], [True, False], [False, False], [True, True]])
    preference = torch.tensor([[0.2, 0.7], [0.1, 0.9], [0.5, 0.5], [0.4, 0.4]])
    owner, value = resolve(claims, preference)
    assert owner.tolist() == [2, 1, 0, 1]
    torch.testing.assert_close(value, torch.tensor([0.7, 0.1, -1e8, 0.4]))


def test_nothing_fits_half_precision():
    _, value = resolve(torch.tensor([[False]]), torch.tensor([[0.5]], dtype=torch.half))
    assert value.item() == torch.finfo(torch.half).min


def test_claims_are_marked_where_they_were_chosen():
    places, chosen = torch.tensor([[2, 0], [1, 2]]), torch.tensor([[True, False], [False, True]])
    assert mark(places, chosen, 3).tolist() == [[False, False], [False, False], [True, True]]


@pytest.mark.parametrize(("take_all", "expected"), [(True, [[2, 1], [0, 2]]), (False, [[2, 0], [0, 2]])])
def test_the_last_ground_truth_gets_a_shared_best_box(take_all, expected):
    overlaps = torch.tensor([[[0.5, 0.5], [0.6, 0.1]], [[0.1, 0.1], [0.0, 0.9]]])
    assert best_boxes(overlaps, lambda peak: peak > 0.3, take_all).tolist() == expected


def test_candidates_come_from_every_level():
    distances = torch.tensor([[3.0], [1.0], [2.0], [9.0]])
    assert nearest_per_level(distances, [3, 1], 2).squeeze(1).tolist() == [1, 2, 3]


# ATSS and TOOD


def test_atss_takes_what_overlaps_more_than_usual_with_its_center_inside():
    boxes = squares([5, 7, 11, 25, 30])
    result = ATSSAssigner(topk=5).assign(boxes, [5], GT[:1], gt_labels=LABELS[:1])
    overlaps = torch.tensor([1.0, 8 / 12, 4 / 16, 0.0, 0.0])
    assert (overlaps >= overlaps.mean() + overlaps.std()).tolist() == [True, False, False, False, False]
    assert result.gt_inds.tolist() == [1, 0, 0, 0, 0]
    torch.testing.assert_close(result.max_overlaps, torch.tensor([1.0, *[-1e8] * 4]))


def test_atss_ignores_covered_boxes_and_does_not_prefer_them():
    boxes = squares([5, 6, 20, 40])
    ignored = torch.tensor([[6.0, -1.0, 12.0, 11.0]])
    plain, ignoring = (
        ATSSAssigner(topk=3, ignore_iof_thr=thr).assign(boxes, [4], GT[:1], ignored) for thr in (-1, 0.45)
    )
    # Beside a box that overlaps as well nobody stands out.
    assert plain.gt_inds.tolist() == [0, 0, 0, 0]
    assert ignoring.gt_inds.tolist() == [1, -1, 0, 0]


def test_atss_with_alpha_judges_predictions():
    boxes = squares([4, 5, 6, 30])
    scores = torch.logit(torch.tensor([[0.01, 0.9], [0.01, 0.1], [0.01, 0.1], [0.01, 0.01]]))
    judged = {"cls_scores": scores, "bbox_preds": GT[:1].expand(4, 4)}
    result = ATSSAssigner(topk=4, alpha=0.5).assign(boxes, [4], GT[:1], gt_labels=LABELS[:1], **judged)
    assert result.gt_inds.tolist() == [1, 0, 0, 0]
    assert result.max_overlaps[0].item() == pytest.approx(math.sqrt(0.9))
    with pytest.raises(ValueError, match="needs cls_scores, bbox_preds and gt_labels"):
        ATSSAssigner(topk=4, alpha=0.5).assign(boxes, [4], GT[:1])
    with pytest.warns(UserWarning, match="no alpha"):
        ATSSAssigner(topk=4).assign(boxes, [4], GT[:1], gt_labels=LABELS[:1], **judged)


def test_task_alignment_is_score_times_overlap():
    anchors = squares([5, 6, 25, 50])
    predicted = torch.cat([GT[:1], GT[:1], GT[1:], GT[:1]])
    scores = torch.tensor([[0.1, 0.5], [0.1, 0.9], [0.8, 0.1], [0.1, 1.0]])
    result = TaskAlignedAssigner(topk=3).assign(scores, predicted, anchors, GT, gt_labels=LABELS, alpha=1, beta=2)
    assert result.gt_inds.tolist() == [1, 1, 2, 0]
    assert result.get_extra_property("assign_metrics").tolist() == pytest.approx([0.5, 0.9, 0.8, 0])
    with pytest.raises(ValueError, match="topk"):
        TaskAlignedAssigner(topk=0)


# SimOTA


def test_class_cost_is_the_binary_cross_entropy_of_roots():
    scores = torch.tensor([[0.0, 0.5, 1.0], [0.2, 0.3, 0.4]])
    labels = torch.tensor([2, 0, 1])
    hot = torch.nn.functional.one_hot(labels, 3).float()
    expected = torch.nn.functional.binary_cross_entropy(
        scores.sqrt()[:, None].expand(2, 3, 3), hot.expand(2, 3, 3), reduction="none"
    ).sum(dim=-1)
    torch.testing.assert_close(class_cost(scores, labels), expected)


def test_a_ground_truth_takes_as_many_priors_as_its_overlaps_add_up_to():
    overlaps = torch.tensor([[0.9, 0.0], [0.8, 0.1], [0.7, 0.1], [0.0, 0.2]])
    cost = torch.tensor([[3.0, 9.0], [1.0, 9.0], [2.0, 9.0], [9.0, 4.0]])
    assert cheapest(cost, overlaps, 10).tolist() == [0, 1, 1, 2]


def test_a_contested_prior_goes_where_it_is_cheapest_even_to_none_of_the_claimants():
    overlaps = torch.full((2, 3), 0.1)
    cost = torch.tensor([[3.0, 2.0, 1.0], [9.0, 9.0, 0.5]])
    assert cheapest(cost, overlaps, 10).tolist() == [3, 3]


def test_sim_ota_leaves_far_priors_to_the_background():
    priors = torch.tensor([[5.0, 5, 2, 2], [30, 5, 2, 2], [90, 90, 2, 2]])
    predicted = torch.cat([GT, GT[:1]])
    scores = torch.tensor([[0.1, 0.9], [0.9, 0.1], [0.9, 0.9]])
    result = SimOTAAssigner().assign(scores, priors, predicted, GT, LABELS)
    assert result.gt_inds.tolist() == [1, 2, 0]
    assert result.labels.tolist() == [1, 0, -1]
    torch.testing.assert_close(result.max_overlaps, torch.tensor([1.0, 1.0, -1e5]))
    nowhere = SimOTAAssigner().assign(scores[2:], priors[2:], predicted[2:], GT, LABELS)
    assert (nowhere.gt_inds.tolist(), nowhere.max_overlaps.tolist()) == ([0], [0])


def test_sim_ota_takes_half_precision():
    priors = torch.tensor([[5.0, 5, 2, 2], [30, 5, 2, 2]]).half()
    result = SimOTAAssigner().assign(torch.rand(2, 2).half(), priors, GT.half(), GT.half(), LABELS)
    assert result.gt_inds.tolist() == [1, 2]


# Regions, grids and points


def test_shadows_of_the_smaller_ground_truth_win():
    truths = torch.tensor([[0.0, 0.0, 40.0, 40.0], [10.0, 10.0, 30.0, 30.0]])
    boxes = torch.tensor([[19.0, 19, 21, 21], [11, 19, 13, 21], [34, 19, 36, 21], [50, 50, 52, 52]])
    result = CenterRegionAssigner(0.5, 0.8).assign(boxes, truths, gt_labels=LABELS)
    assert result.gt_inds.tolist() == [2, 1, 0, 0]
    # The shadow of the first, of the second (box 1 lies just inside), then the core lost to the second.
    assert result.get_extra_property("shadowed_labels").tolist() == [[1, 0], [2, 1], [0, 1]]


@pytest.mark.parametrize(("dominate", "expected"), [(True, [1, []]), (False, [0, [[0, 7]]])])
def test_a_box_is_not_both_positive_for_a_class_and_in_its_shadow(dominate, expected):
    truths = torch.tensor([[0.0, 0.0, 40.0, 40.0], [20.0, 0.0, 70.0, 40.0]])
    box = torch.tensor([[24.0, 19, 26, 21]])
    assigner = CenterRegionAssigner(0.4, 0.9, foreground_dominate=dominate)
    result = assigner.assign(box, truths, gt_labels=torch.tensor([7, 7]))
    assert [result.gt_inds.item(), result.get_extra_property("shadowed_labels").tolist()] == expected


def test_center_region_ignores_the_middle_of_ignored_regions():
    region = torch.tensor([[0.0, 0.0, 40.0, 40.0]])
    boxes = torch.tensor([[19.0, 19, 21, 21], [1, 1, 3, 3]])
    result = CenterRegionAssigner(0.2, 0.4).assign(boxes, GT[:0], region)
    assert result.gt_inds.tolist() == [-1, 0]
    assert result.labels is None
    assert result.get_extra_property("shadowed_labels") is None


def test_only_responsible_boxes_are_positive():
    boxes = squares([5, 6, 25])
    flags = torch.tensor([False, True, False])
    result = GridAssigner(0.5, 0.4).assign(boxes, flags, GT[:1], LABELS[:1])
    assert result.gt_inds.tolist() == [-1, 1, 0]
    torch.testing.assert_close(result.max_overlaps, torch.tensor([-1.0, 9 / 11, -1.0]))


def test_a_ground_truth_without_responsible_boxes_gets_none():
    assert GridAssigner(0.5, 0.4).assign(squares([5, 25]), torch.zeros(2), GT[:1]).gt_inds.tolist() == [-1, 0]


@pytest.mark.parametrize(("least", "expected"), [(0.0, [1, -1, 0]), (0.9, [-1, -1, 0])])
def test_grid_takes_a_range_of_background_and_a_least_overlap(least, expected):
    boxes = torch.tensor([[0.0, 0, 10, 6], [0, 0, 10, 5], [0, 0, 10, 1]])
    result = GridAssigner(0.8, (0.0, 0.4), least).assign(boxes, torch.ones(3), GT[:1])
    assert result.gt_inds.tolist() == expected


def test_points_belong_to_the_level_of_the_size_and_to_the_nearest():
    points = torch.tensor([[5.0, 5, 2], [9, 5, 2], [14, 5, 2], [30, 5, 4], [5, 5, 4]])
    # Sizes 10 and sqrt(20 * 10): both of level 2 when divided by 4.
    result = PointAssigner(scale=4, pos_num=2).assign(points, GT, gt_labels=LABELS)
    assert result.gt_inds.tolist() == [1, 1, 2, 0, 0]


def test_levels_with_few_points_give_fewer():
    points = torch.tensor([[5.0, 5, 2], [30, 5, 16]])
    assert PointAssigner(pos_num=3).assign(points, GT[:1]).gt_inds.tolist() == [1, 0]


def one_row(num: int = 8, stride: int = 8) -> Tensor:
    return squares([stride * i + stride / 2 for i in range(num)], half=stride, y=stride / 2)


def test_regions_are_positive_in_the_middle_and_ignored_around():
    truth = torch.tensor([[8.0, 0.0, 56.0, 8.0]])
    call = {"img_meta": {"img_shape": (8, 64)}, "featmap_sizes": [(1, 8)], "anchor_scale": 4, "anchor_strides": [8]}
    flags = torch.tensor([True] * 7 + [False])
    result = RegionAssigner(0.4, 0.8).assign([one_row()], [flags], truth, **call, allowed_border=-1)
    # Cells 1 to 7; middles at 0.5: the region of 0.4 spans cells 3 to 5, that of 0.8 spans 2 to 6. The first location
    # is ignored on every level, as in 2.x.
    assert result.gt_inds.tolist() == [-1, 0, -1, 1, 1, -1, 0, -1]
    with pytest.raises(NotImplementedError, match="ignore regions"):
        RegionAssigner().assign([one_row()], [flags], truth, **call, gt_bboxes_ignore=truth)


def test_every_ground_truth_takes_predictions_and_anchors():
    anchors = squares([5, 8, 30, 60, 90])
    predicted = squares([60, 8, 31, 5, 90])
    result = UniformAssigner(0.15, 0.7, match_times=1).assign(predicted, anchors, GT[:1], gt_labels=LABELS[:1])
    # The nearest prediction is that of anchor 3, which does not overlap itself; the nearest anchor is 0.
    assert result.gt_inds.tolist() == [1, 0, 0, -1, 0]
    assert result.get_extra_property("pos_idx").tolist() == [False, True]
    torch.testing.assert_close(result.get_extra_property("pos_predicted_boxes"), predicted[[3, 0]])
    torch.testing.assert_close(result.get_extra_property("target_boxes"), GT[[0, 0]])
    assert result.max_overlaps.tolist() == [1]


def test_uniform_ignores_good_predictions_that_nobody_took():
    boxes = squares([5, 5.5, 60])
    result = UniformAssigner(0.15, 0.7, match_times=1).assign(boxes, boxes, GT[:1])
    assert result.gt_inds.tolist() == [1, -1, 0]
