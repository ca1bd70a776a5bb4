"""What every assigner and every match cost of the registries must do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from raydet.assignment import AscendAssignResult, AssignResult
from raydet.registry import ASSIGNERS, MATCH_COSTS

GT = torch.tensor([[3.0, 5.0, 37.0, 35.0], [70.0, 66.0, 118.0, 108.0], [66.0, 8.0, 90.0, 30.0]])
LABELS = torch.tensor([2, 0, 1])
SIZES, STRIDES = [(16, 16), (8, 8)], [8, 16]
NUM = [256, 64]


def points() -> Tensor:
    """`(320, 3)` x, y, stride."""
    grids = []
    for (height, width), stride in zip(SIZES, STRIDES, strict=True):
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        center = torch.stack([x.flatten(), y.flatten()], dim=1) * stride + stride / 2
        grids.append(torch.cat([center, torch.full((height * width, 1), float(stride))], dim=1))
    return torch.cat(grids)


POINTS = points()
ANCHORS = torch.cat([POINTS[:, :2] - 2 * POINTS[:, 2:], POINTS[:, :2] + 2 * POINTS[:, 2:]], dim=1)
SCORES = torch.rand(320, 4, generator=torch.Generator().manual_seed(0))
PREDICTED = ANCHORS + torch.randn(320, 4, generator=torch.Generator().manual_seed(1))
META = {"img_shape": (128, 128, 3)}
QUERIES = torch.rand(20, 4, generator=torch.Generator().manual_seed(2))
MASKS = torch.randn(20, 8, 8, generator=torch.Generator().manual_seed(3))


def gt_masks(gt: Tensor) -> Tensor:
    """Each ground truth on a map of `(8, 8)` cells."""
    cell = torch.arange(8) * 16 + 8
    rows = (cell >= gt[:, 1:2]) & (cell <= gt[:, 3:4])
    columns = (cell >= gt[:, :1]) & (cell <= gt[:, 2:3])
    return (rows[:, :, None] & columns[:, None, :]).long()


def by_region(assigner: Any, gt: Tensor, labels: Tensor) -> AssignResult:
    valid = torch.ones(320, dtype=torch.bool).split(NUM)
    return assigner.assign(ANCHORS.split(NUM), valid, gt, META, SIZES, 4, STRIDES, None, labels, allowed_border=-1)


THRESHOLDS = {"pos_iou_thr": 0.5, "neg_iou_thr": 0.4}
Case = tuple[dict[str, Any], Callable[[Any, Tensor, Tensor], AssignResult]]
CASES: dict[str, Case] = {
    "MaxIoUAssigner": (THRESHOLDS, lambda a, gt, labels: a.assign(ANCHORS, gt, None, labels)),
    "ApproxMaxIoUAssigner": (
        THRESHOLDS,
        lambda a, gt, labels: a.assign(torch.stack([ANCHORS, PREDICTED], 1).view(-1, 4), ANCHORS, 2, gt, None, labels),
    ),
    "GridAssigner": (THRESHOLDS, lambda a, gt, labels: a.assign(ANCHORS, torch.ones(len(ANCHORS)), gt, labels)),
    "ATSSAssigner": ({"topk": 9}, lambda a, gt, labels: a.assign(ANCHORS, NUM, gt, None, labels)),
    "TaskAlignedAssigner": (
        {"topk": 13},
        lambda a, gt, labels: a.assign(SCORES, PREDICTED, ANCHORS, gt, None, labels),
    ),
    "SimOTAAssigner": (
        {},
        lambda a, gt, labels: a.assign(SCORES, POINTS[:, [0, 1, 2, 2]], PREDICTED, gt, labels),
    ),
    "CenterRegionAssigner": (
        {"pos_scale": 0.4, "neg_scale": 0.8},
        lambda a, gt, labels: a.assign(ANCHORS, gt, None, labels),
    ),
    "PointAssigner": ({}, lambda a, gt, labels: a.assign(POINTS, gt, None, labels)),
    "RegionAssigner": ({"center_ratio": 0.4}, by_region),
    "UniformAssigner": (
        {"pos_ignore_thr": 0.1, "neg_ignore_thr": 0.7},
        lambda a, gt, labels: a.assign(PREDICTED, ANCHORS, gt, None, labels),
    ),
    "HungarianAssigner": ({}, lambda a, gt, labels: a.assign(QUERIES, SCORES[:20], gt, labels, META)),
    "MaskHungarianAssigner": ({}, lambda a, gt, labels: a.assign(SCORES[:20], MASKS, labels, gt_masks(gt))),
}
# Whole batches at once, with a result of its own.
BATCHED = {"AscendMaxIoUAssigner"}


def assign(name: str, order: list[int]) -> AssignResult:
    options, call = CASES[name]
    return call(ASSIGNERS.build({"type": name, **options}), GT[order], LABELS[order])


def test_every_assigner_has_a_case() -> None:
    assert set(ASSIGNERS) - BATCHED == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_without_ground_truth_everything_is_background(name: str) -> None:
    result = assign(name, [])
    in_middle = result.gt_inds[2:]  # RegionAssigner ignores its first location.
    assert result.num_gts == 0
    assert not in_middle.any()
    assert set(result.labels.tolist()) == {-1}


@pytest.mark.parametrize("name", CASES)
def test_ground_truths_get_boxes_and_boxes_their_labels(name: str) -> None:
    result = assign(name, [0, 1, 2])
    owned = result.gt_inds > 0
    assert result.num_gts == 3
    assert set(result.gt_inds[owned].tolist()) == {1, 2, 3}
    assert torch.equal(result.labels[owned], LABELS[result.gt_inds[owned] - 1])
    assert set(result.labels[~owned].tolist()) == {-1}


@pytest.mark.parametrize("name", CASES)
def test_the_order_of_ground_truths_does_not_matter(name: str) -> None:
    order = [2, 0, 1]
    plain, turned = assign(name, [0, 1, 2]).gt_inds, assign(name, order).gt_inds
    renamed = torch.tensor([0, 3, 1, 2, -1])  # Number in `plain` of each number in `turned`; the last is -1.
    assert torch.equal(renamed[turned], plain)


@pytest.mark.parametrize("name", sorted(set(CASES) - {"RegionAssigner", "HungarianAssigner", "MaskHungarianAssigner"}))
def test_without_boxes_the_result_is_empty(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for constant in ("POINTS", "ANCHORS", "SCORES", "PREDICTED"):
        monkeypatch.setitem(globals(), constant, globals()[constant][:0])
    monkeypatch.setitem(globals(), "NUM", [0, 0])
    result = assign(name, [0, 1, 2])
    assert result.gt_inds.shape == result.labels.shape == (0,)


def test_a_batch_is_assigned_like_its_images() -> None:
    options = {**THRESHOLDS, "min_pos_iou": 0.2}
    single, batched = (
        ASSIGNERS.build({"type": name, **options}) for name in ("MaxIoUAssigner", "AscendMaxIoUAssigner")
    )
    truths = [GT, torch.cat([GT[1:] + 3, torch.zeros(1, 4)])]
    result = batched.assign(torch.stack([ANCHORS] * 2), torch.stack(truths), batch_gt_labels=torch.stack([LABELS] * 2))
    assert isinstance(result, AscendAssignResult)
    for image, gt in enumerate([truths[0], truths[1][:2]]):
        wanted = single.assign(ANCHORS, gt, None, LABELS[: len(gt)])
        positive = result.batch_pos_mask[image] == 1
        assert torch.equal(positive, wanted.gt_inds > 0)
        assert torch.equal(result.batch_neg_mask[image] == 1, wanted.gt_inds == 0)
        assert torch.equal(result.batch_anchor_gt_indes[image][positive] + 1, wanted.gt_inds[positive])
        assert torch.equal(result.batch_anchor_gt_labels[image][positive], wanted.labels[positive])


@pytest.mark.parametrize("take_all", [True, False])
def test_a_batch_leaves_out_masked_and_ignored_boxes(take_all: bool) -> None:
    options = {**THRESHOLDS, "min_pos_iou": 0.2, "ignore_iof_thr": 0.5, "gt_max_assign_all": take_all}
    assigner = ASSIGNERS.build({"type": "AscendMaxIoUAssigner", **options})
    allowed = torch.arange(320)[None] >= 100
    regions = torch.tensor([[[64.0, 64.0, 128.0, 128.0]]])
    result = assigner.assign(ANCHORS[None], GT[None], regions, None, allowed)
    covered = assigner.covered(ANCHORS, regions[0])
    left_out = ~allowed[0] | covered
    assert covered.any()
    assert not result.batch_pos_mask[0][left_out].any()
    assert not result.batch_neg_mask[0][left_out].any()
    assert result.batch_pos_mask.any()
    assert result.batch_anchor_gt_labels is None


PAIRS = {
    "BBoxL1Cost": (QUERIES, GT / 128),
    "IoUCost": (PREDICTED[:20], GT),
    "ClassificationCost": (SCORES[:20], LABELS),
    "FocalLossCost": (SCORES[:20], LABELS),
    "CrossEntropyLossCost": (MASKS, gt_masks(GT)),
    "DiceCost": (MASKS.sigmoid(), gt_masks(GT)),
}


def test_every_cost_has_a_case() -> None:
    assert set(MATCH_COSTS) == set(PAIRS)


@pytest.mark.parametrize("name", PAIRS)
def test_costs_are_pairs_times_their_weight(name: str) -> None:
    pred, target = PAIRS[name]
    once = MATCH_COSTS.build({"type": name})(pred, target)
    assert once.shape == (20, 3)
    torch.testing.assert_close(MATCH_COSTS.build({"type": name, "weight": 2.5})(pred, target), once * 2.5)
    torch.testing.assert_close(MATCH_COSTS.build({"type": name})(pred, target[1:2]), once[:, 1:2])
    assert MATCH_COSTS.build({"type": name})(pred, target[:0]).shape == (20, 0)
