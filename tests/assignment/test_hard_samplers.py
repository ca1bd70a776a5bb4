from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from raydet.assignment import AssignResult, OHEMSampler, ScoreHLRSampler
from raydet.geometry import PseudoBBoxCoder
from raydet.losses import CrossEntropyLoss
from raydet.registry import SAMPLERS

GT, LABELS = torch.tensor([[0.0, 0.0, 10.0, 10.0]]), torch.tensor([1])
BOXES = torch.tensor([[10.0 * i, 0.0, 10.0 * i + 10, 10.0] for i in range(8)])
# 3 positives, 4 negatives, 1 ignored.
GT_INDS = torch.tensor([1, 1, 1, 0, 0, 0, 0, -1])
# How sure the head is of class 1, from box to box.
LOGITS = torch.tensor([4.0, 0.0, -4.0, -9.0, 3.0, 5.0, 2.0, 0.0])


class Head:
    """Judges a box by where it lies; sees the objects in `seen`."""

    def __init__(self, seen: Tensor = BOXES) -> None:
        self.bbox_head = SimpleNamespace(num_classes=2, loss_cls=CrossEntropyLoss(), bbox_coder=PseudoBBoxCoder())
        self.seen = seen

    def judge(self, feats: list[Tensor], rois: Tensor) -> tuple[Tensor, Tensor]:
        assert len(feats) == 1
        assert rois.shape[1] == 5
        place = (rois[:, 1] / 10).long()
        logits = torch.stack([torch.full((len(rois),), -9.0), LOGITS[place], torch.zeros(len(rois))], dim=1)
        return logits, self.seen[place].repeat(1, 2)


def sample(sampler):
    labels = torch.where(GT_INDS > 0, 1, -1)
    return sampler.sample(AssignResult(1, GT_INDS, None, labels), BOXES, GT, LABELS, feats=[torch.zeros(1, 1, 2, 2)])


def test_ohem_takes_the_boxes_with_the_largest_losses():
    result = sample(OHEMSampler(4, 0.5, Head(), add_gt_as_proposals=False))
    assert result.pos_inds.tolist() == [1, 2]
    assert result.neg_inds.tolist() == [4, 5]


def test_ohem_takes_all_when_there_are_few():
    result = sample(OHEMSampler(20, 0.5, Head(), add_gt_as_proposals=True))
    assert result.pos_inds.tolist() == [0, 1, 2, 3]
    assert result.neg_inds.tolist() == [4, 5, 6, 7]


def test_ohem_chooses_among_several_losses():
    head = Head()
    plain = head.bbox_head.loss_cls
    head.bbox_head.loss_cls = lambda *args, **kwargs: {"easy": -plain(*args, **kwargs), "other": None}
    result = sample(OHEMSampler(4, 0.5, head, add_gt_as_proposals=False, loss_key="easy"))
    assert result.neg_inds.tolist() == [3, 6]


@pytest.mark.parametrize(("num", "expected"), [(2, [5, 4]), (3, [5, 4, 6]), (9, [5, 4, 6, 3])])
def test_hlr_takes_the_most_mistaken_first_and_fills_up(num, expected):
    result, weights = sample(ScoreHLRSampler(num, 0.0, Head(), add_gt_as_proposals=False))
    assert result.neg_inds.tolist() == expected
    assert weights.shape == (len(expected),)


def test_hlr_prefers_the_best_of_every_group():
    seen = BOXES.clone()
    seen[4] = seen[5]
    result, _ = sample(ScoreHLRSampler(3, 0.0, Head(seen), add_gt_as_proposals=False))
    # Box 4 is only the second of the group of box 5.
    assert result.neg_inds.tolist() == [5, 6, 4]


@pytest.mark.parametrize(("k", "bias"), [(0.5, 0.0), (2.0, 0.3)])
def test_hlr_weights_fall_with_the_rank_and_keep_the_sum_of_losses(k, bias):
    sampler = ScoreHLRSampler(4, 0.0, Head(), add_gt_as_proposals=False, k=k, bias=bias)
    result, weights = sample(sampler)
    importance = (bias + (1 - bias) * torch.tensor([1.0, 0.75, 0.5, 0.5])).pow(k)
    torch.testing.assert_close(weights / weights[0], importance)
    losses = torch.log1p(LOGITS[result.neg_inds].exp() + torch.exp(torch.tensor(-9.0)))
    torch.testing.assert_close((losses * weights).sum(), losses.sum())


def test_hlr_without_mistakes_is_random():
    result, weights = sample(ScoreHLRSampler(3, 0.0, Head(), add_gt_as_proposals=False, score_thr=1.0))
    assert len(set(result.neg_inds.tolist()) & {3, 4, 5, 6}) == 3
    assert weights.tolist() == [1, 1, 1]


def test_hlr_without_negatives_has_no_weights():
    everything = AssignResult(1, torch.ones(8, dtype=torch.long), None, torch.ones(8, dtype=torch.long))
    result, weights = ScoreHLRSampler(4, 0.5, Head()).sample(everything, BOXES, GT, LABELS, feats=[torch.zeros(1)])
    assert len(result.pos_inds) == 2
    assert len(result.neg_inds) == len(weights) == 0


def test_hard_negatives_combine_with_other_positives():
    cfg = {"type": "CombinedSampler", "num": 4, "pos_fraction": 0.5, "add_gt_as_proposals": False}
    parts = {"pos_sampler": {"type": "InstanceBalancedPosSampler"}, "neg_sampler": {"type": "OHEMSampler"}}
    result = sample(SAMPLERS.build({**cfg, **parts}, default_args={"context": Head()}))
    assert result.neg_inds.tolist() == [4, 5]
