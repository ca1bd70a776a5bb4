from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F

from raydet.assignment import (
    BBoxL1Cost,
    ClassificationCost,
    CrossEntropyLossCost,
    DiceCost,
    FocalLossCost,
    HungarianAssigner,
    IoUCost,
    MaskHungarianAssigner,
)
from raydet.assignment.hungarian import one_to_one

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 1.0, -2.0]])
CLASSES = torch.tensor([2, 0])
MASKS = torch.tensor([[4.0, 4.0, -4.0, -4.0], [-4.0, 4.0, 4.0, -4.0], [1.0, 1.0, 1.0, 1.0]])
GT_MASKS = torch.tensor([[0, 1, 1, 0], [1, 1, 0, 0]])


def test_the_matching_has_the_lowest_total_cost():
    cost = torch.rand(5, 3, generator=torch.Generator().manual_seed(0))
    result = one_to_one(cost, torch.tensor([4, 5, 6]))
    matched = result.gt_inds.nonzero().squeeze(1)
    total = cost[matched, result.gt_inds[matched] - 1].sum().item()
    best = min(sum(cost[q, g].item() for g, q in enumerate(p)) for p in itertools.permutations(range(5), 3))
    assert total == pytest.approx(best)
    assert sorted(result.gt_inds.tolist()) == [0, 0, 1, 2, 3]
    assert sorted(result.labels.tolist()) == [-1, -1, 4, 5, 6]
    assert result.max_overlaps is None


def test_more_ground_truths_than_queries_leave_some_without():
    assert sorted(one_to_one(torch.eye(2, 3), CLASSES[:1].expand(3)).gt_inds.tolist())[0] > 0


def test_costs_that_are_not_finite_say_so():
    with pytest.raises(ValueError, match="not finite"):
        one_to_one(torch.tensor([[float("nan")]]), CLASSES)


def test_boxes_are_matched_in_pixels_of_the_image():
    predicted = torch.tensor([[0.5, 0.5, 0.2, 0.2], [0.15, 0.25, 0.1, 0.1]])
    gt = torch.tensor([[20.0, 20.0, 40.0, 30.0]])
    result = HungarianAssigner().assign(predicted, LOGITS, gt, CLASSES[:1], {"img_shape": (100, 200, 3)})
    assert result.gt_inds.tolist() == [0, 1]
    assert result.labels.tolist() == [-1, 2]
    with pytest.raises(ValueError, match="gt_bboxes_ignore=None"):
        HungarianAssigner().assign(predicted, LOGITS, gt, CLASSES[:1], {"img_shape": (100, 200, 3)}, gt)


@pytest.mark.parametrize("zero", ["mask_cost", "dice_cost"])
def test_masks_are_matched_without_what_weighs_nothing(zero):
    kind = {"mask_cost": "FocalLossCost", "dice_cost": "DiceCost"}[zero]
    assigner = MaskHungarianAssigner(**{zero: {"type": kind, "weight": 0}})
    assert assigner.assign(None, MASKS, CLASSES, GT_MASKS).gt_inds.tolist() == [2, 1, 0]


def test_class_costs_are_those_of_the_class():
    torch.testing.assert_close(ClassificationCost()(LOGITS, CLASSES), -LOGITS.softmax(1)[:, CLASSES])
    p = LOGITS.sigmoid()
    gain = -0.25 * (1 - p) ** 2 * p.log() + 0.75 * p**2 * (1 - p).log()
    torch.testing.assert_close(FocalLossCost()(LOGITS, CLASSES), gain[:, CLASSES])


def test_box_costs_take_their_formats():
    predicted, gt = torch.tensor([[0.5, 0.5, 0.2, 0.4]]), torch.tensor([[0.4, 0.3, 0.6, 0.9]])
    assert BBoxL1Cost()(predicted, gt).item() == pytest.approx(0.2)
    assert BBoxL1Cost(box_format="xywh")(predicted, gt).item() == pytest.approx(0.1 + 0.2)
    with pytest.raises(ValueError, match="'xyxy' or 'xywh', got 'cxcywh'"):
        BBoxL1Cost(box_format="cxcywh")
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0]]), torch.tensor([[0.0, 0.0, 10.0, 5.0]])
    assert IoUCost("iou")(*boxes).item() == -0.5


def test_mask_costs_are_means_over_pixels():
    for query, truth in itertools.product(range(3), range(2)):
        pred, target = MASKS[query], GT_MASKS[truth].float()
        pair = MASKS[query][None], GT_MASKS[truth][None]
        expected = F.binary_cross_entropy_with_logits(pred, target)
        assert CrossEntropyLossCost()(*pair).item() == pytest.approx(expected.item(), rel=1e-5, abs=1e-6)
        chance = torch.where(target > 0, pred.sigmoid(), 1 - pred.sigmoid())
        focal = (torch.where(target > 0, 0.25, 0.75) * (1 - chance) ** 2 * -chance.log()).mean()
        assert FocalLossCost(binary_input=True)(*pair).item() == pytest.approx(focal.item(), rel=1e-5, abs=1e-6)
        p = pred.sigmoid()
        dice = 1 - (2 * (p * target).sum() + 1) / (p.sum() + target.sum() + 1)
        assert DiceCost(pred_act=True, eps=1)(*pair).item() == pytest.approx(dice.item(), rel=1e-5)
    with pytest.raises(ValueError, match="use_sigmoid must be True"):
        CrossEntropyLossCost(use_sigmoid=False)


def test_mask_costs_stay_finite_in_half_precision():
    """The sum over 20,000 pixels exceeds the range, their mean does not."""
    pred, target = torch.full((1, 20000), 8.0).half(), torch.ones(1, 20000).half()
    assert CrossEntropyLossCost()(pred, target).isfinite().all()
