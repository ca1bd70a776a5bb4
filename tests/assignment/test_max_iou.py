from __future__ import annotations

import pytest
import torch

from raydet.assignment import AssignResult, MaxIoUAssigner
from raydet.registry import ASSIGNERS

GT = torch.tensor([[0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 30.0, 10.0]])
LABELS = torch.tensor([7, 3])
# Overlaps with the first: 1, 0.8, 0.45, 0.2; the last two lie on nothing and on the second by 0.3.
BOXES = torch.tensor(
    [[0.0, 0, 10, 10], [0, 0, 10, 8], [0, 0, 10, 4.5], [0, 0, 10, 2], [50, 50, 60, 60], [20, 0, 30, 3]]
)


def assign(gt=GT, **options):
    return MaxIoUAssigner(**{"pos_iou_thr": 0.5, "neg_iou_thr": 0.4, **options}).assign(
        BOXES, gt, gt_labels=LABELS[: len(gt)]
    )


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"match_low_quality": False}, [1, 1, -1, 0, 0, 0]),
        ({"min_pos_iou": 0.2}, [1, 1, -1, 0, 0, 2]),
        ({"min_pos_iou": 0.35}, [1, 1, -1, 0, 0, 0]),
        ({"neg_iou_thr": (0.1, 0.4), "match_low_quality": False}, [1, 1, -1, 0, -1, 0]),
        ({"pos_iou_thr": 0.9}, [1, -1, -1, 0, 0, 2]),
    ],
)
def test_assign_by_thresholds(options, expected):
    assert assign(**options).gt_inds.tolist() == expected


def test_assigned_labels_and_overlaps_are_those_of_the_ground_truth():
    result = assign()
    assert result.labels.tolist() == [7, 7, -1, -1, -1, 3]
    torch.testing.assert_close(result.max_overlaps, torch.tensor([1, 0.8, 0.45, 0.2, 0, 0.3]))


def test_without_ground_truth_everything_is_background():
    result = assign(gt=GT[:0])
    assert result.gt_inds.tolist() == [0] * 6
    assert result.labels.tolist() == [-1] * 6
    assert result.num_gts == 0


def test_without_boxes_the_result_is_empty():
    result = MaxIoUAssigner(0.5, 0.4).assign(BOXES[:0], GT, gt_labels=LABELS)
    assert result.gt_inds.shape == result.labels.shape == (0,)


def test_labels_are_unknown_when_not_given():
    assert MaxIoUAssigner(0.5, 0.4).assign(BOXES, GT).labels is None


@pytest.mark.parametrize(("take_all", "expected"), [(True, [1, 1, 0]), (False, [1, 0, 0])])
def test_boxes_that_share_the_best_overlap(take_all, expected):
    boxes = torch.tensor([[0.0, 0, 10, 3], [0, 7, 10, 10], [50, 50, 60, 60]])
    result = MaxIoUAssigner(0.5, 0.4, min_pos_iou=0.1, gt_max_assign_all=take_all).assign(boxes, GT[:1])
    assert result.gt_inds.tolist() == expected


def test_the_last_ground_truth_wins_a_shared_best_box():
    twins = GT[:1].expand(3, 4)
    assert MaxIoUAssigner(0.9, 0.4).assign(BOXES[1:2], twins).gt_inds.tolist() == [3]


@pytest.mark.parametrize(
    ("relative_to_box", "threshold", "expected"), [(True, 0.5, -1), (True, -1, 0), (False, 0.05, -1), (False, 0.5, 0)]
)
def test_boxes_in_ignored_regions_are_ignored(relative_to_box, threshold, expected):
    assigner = MaxIoUAssigner(0.5, 0.4, ignore_iof_thr=threshold, ignore_wrt_candidates=relative_to_box)
    result = assigner.assign(BOXES, GT, torch.tensor([[45.0, 45.0, 75.0, 75.0]]), LABELS)
    assert result.gt_inds[4] == expected


def test_many_ground_truths_are_assigned_alike_on_the_cpu():
    assert torch.equal(assign(gpu_assign_thr=1).gt_inds, assign().gt_inds)


def test_config_builds_its_overlap_calculator():
    cfg = {"type": "MaxIoUAssigner", "pos_iou_thr": 0.5, "neg_iou_thr": 0.4}
    assigner = ASSIGNERS.build({**cfg, "iou_calculator": {"type": "BboxOverlaps2D", "scale": 512.0, "dtype": "fp16"}})
    assert assigner.iou_calculator.dtype == "fp16"


def test_add_gt_puts_ground_truths_in_front():
    result = assign()
    result.add_gt_(LABELS)
    assert result.gt_inds.tolist()[:3] == [1, 2, 1]
    assert result.labels.tolist()[:3] == [7, 3, 7]
    assert result.max_overlaps.tolist()[:2] == [1, 1]
    assert result.num_preds == 8


def test_extra_properties_travel_with_the_result():
    result = AssignResult(1, torch.tensor([0, 1]), torch.tensor([0.0, 1.0]))
    result.set_extra_property("centerness", 0.5)
    assert result.get_extra_property("centerness") == result.info["centerness"] == 0.5
    assert result.get_extra_property("nothing") is None
    with pytest.raises(ValueError, match="standard"):
        result.set_extra_property("labels", None)
