from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from raydet.assignment import (
    AssignResult,
    BaseSampler,
    InstanceBalancedPosSampler,
    IoUBalancedNegSampler,
    MaskPseudoSampler,
    PseudoSampler,
    RandomSampler,
)
from raydet.registry import SAMPLERS

GT = torch.tensor([[0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 30.0, 10.0]])
LABELS = torch.tensor([7, 3])
BOXES = torch.arange(80.0).view(20, 4)


def assigned() -> AssignResult:
    """4 positives of each ground truth, 2 ignored, 10 background."""
    gt_inds = torch.tensor([1] * 4 + [2] * 4 + [-1] * 2 + [0] * 10)
    labels = torch.cat([torch.tensor([-1]), LABELS])[gt_inds.clamp(min=0)]
    return AssignResult(2, gt_inds, torch.linspace(1, 0, 20), labels)


def sample(sampler: BaseSampler):
    return sampler.sample(assigned(), BOXES, GT, LABELS)


@pytest.mark.parametrize(
    ("options", "num_pos", "num_neg"),
    [
        ({"num": 8, "pos_fraction": 0.25}, 2, 6),
        ({"num": 8, "pos_fraction": 0.25, "neg_pos_ub": 2}, 2, 4),
        ({"num": 100, "pos_fraction": 0.5}, 10, 10),
        ({"num": 100, "pos_fraction": 0.5, "add_gt_as_proposals": False}, 8, 10),
        ({"num": 100, "pos_fraction": 0.0, "neg_pos_ub": 3}, 0, 3),
    ],
)
def test_random_sampler_takes_as_many_as_wanted(options, num_pos, num_neg):
    result = sample(RandomSampler(**options))
    assert (len(result.pos_inds), len(result.neg_inds)) == (num_pos, num_neg)
    assert result.bboxes.shape == (num_pos + num_neg, 4)


def test_ground_truths_take_part_as_positives():
    result = sample(RandomSampler(100, 0.5))
    assert result.pos_is_gt.tolist() == [1, 1] + [0] * 8
    torch.testing.assert_close(result.pos_bboxes[:2], GT)
    assert result.pos_assigned_gt_inds.tolist() == [0, 1] + [0] * 4 + [1] * 4
    assert result.pos_gt_labels.tolist() == [7, 3] + [7] * 4 + [3] * 4
    torch.testing.assert_close(result.pos_gt_bboxes, GT[result.pos_assigned_gt_inds])


def test_ground_truths_without_classes_cannot_take_part():
    with pytest.raises(ValueError, match="gt_labels"):
        RandomSampler(8, 0.5).sample(assigned(), BOXES, GT)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 30), st.floats(0, 1))
def test_random_sampler_never_takes_ignored_boxes_or_one_twice(seed, num, fraction):
    torch.manual_seed(seed)
    result = sample(RandomSampler(num, fraction, add_gt_as_proposals=False))
    gt_inds = assigned().gt_inds
    assert (gt_inds[result.pos_inds] > 0).all()
    assert (gt_inds[result.neg_inds] == 0).all()
    chosen = torch.cat([result.pos_inds, result.neg_inds])
    assert len(chosen.unique()) == len(chosen) <= num


def test_random_sampler_repeats_with_its_seed():
    draws = []
    for _ in range(2):
        torch.manual_seed(3)
        draws.append(sample(RandomSampler(6, 0.5)).neg_inds.tolist())
    assert draws[0] == draws[1]


def test_pseudo_sampler_takes_everything_but_ignored():
    result = sample(PseudoSampler(num=3, anything=True))
    assert (len(result.pos_inds), len(result.neg_inds)) == (8, 10)
    assert result.pos_is_gt.sum() == 0


def test_without_ground_truth_there_are_no_positives():
    empty = AssignResult(0, torch.zeros(20, dtype=torch.long), torch.zeros(20))
    result = PseudoSampler().sample(empty, BOXES, GT[:0])
    assert result.pos_gt_bboxes.shape == (0, 4)
    assert result.num_gts == 0
    assert result.pos_gt_labels is None


def test_sampling_result_moves_and_describes_itself():
    result = sample(PseudoSampler())
    assert result.to("cpu") is result
    assert "num_pos=8" in repr(result)
    assert result.info["num_gts"] == 2


def test_a_plug_in_sampler_states_only_its_choice():
    class First(BaseSampler):
        def _sample_pos(self, assign_result, num_expected, **kwargs):
            return (assign_result.gt_inds > 0).nonzero().squeeze(1)[:num_expected]

        def _sample_neg(self, assign_result, num_expected, **kwargs):
            return (assign_result.gt_inds == 0).nonzero().squeeze(1)[:num_expected]

    result = sample(First(4, 0.5, add_gt_as_proposals=False))
    assert result.pos_inds.tolist() == [0, 1]
    assert result.neg_inds.tolist() == [10, 11]


def test_samplers_build_from_configs():
    assert isinstance(SAMPLERS.build({"type": "RandomSampler", "num": 4, "pos_fraction": 0.5}), RandomSampler)


def test_instance_balanced_sampler_serves_every_ground_truth():
    gt_inds = torch.tensor([1] * 17 + [2] * 3)
    lopsided = AssignResult(2, gt_inds, torch.ones(20), LABELS[gt_inds - 1])
    sampler = InstanceBalancedPosSampler(8, 0.5, add_gt_as_proposals=False)
    result = sampler.sample(lopsided, BOXES, GT, LABELS)
    assert len(result.pos_inds) == 4
    assert set(result.pos_assigned_gt_inds.tolist()) >= {0}
    counts = torch.stack([_owners(sampler, lopsided) for _ in range(20)]).float().mean(dim=0)
    assert counts[1] > 1.2  # 3 of 20 boxes, yet about 2 of 4 samples


def _owners(sampler: BaseSampler, assigned_to: AssignResult) -> torch.Tensor:
    return torch.bincount(sampler.sample(assigned_to, BOXES, GT, LABELS).pos_assigned_gt_inds, minlength=2)


@pytest.mark.parametrize(
    ("options", "per_bin"),
    [
        ({"num_bins": 3}, [2, 2, 2]),
        ({"num_bins": 1}, None),
        ({"floor_thr": 0.25, "floor_fraction": 0.5, "num_bins": 2}, None),
        ({"floor_thr": 0, "floor_fraction": 0.5, "num_bins": 2}, None),
    ],
)
def test_iou_balanced_sampler_spreads_over_overlaps(options, per_bin):
    overlaps = torch.cat([torch.zeros(3), torch.linspace(0, 0.29, 11), torch.tensor([0.31, 0.35, 0.4, 0.5, 0.55, 0.6])])
    background = AssignResult(2, torch.zeros(20, dtype=torch.long), overlaps, torch.full((20,), -1))
    sampler = IoUBalancedNegSampler(6, 0.5, add_gt_as_proposals=False, **options)
    places = sampler.sample(background, BOXES, GT, LABELS).neg_inds
    assert len(places) == len(places.unique()) == 6
    if per_bin:
        assert torch.bincount((overlaps[places] / 0.2).long().clamp(max=2)).tolist() == per_bin


@pytest.mark.parametrize("options", [{"floor_thr": -0.5}, {"floor_fraction": 2}, {"num_bins": 0}])
def test_iou_balanced_sampler_with_arguments_out_of_range_raises(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        IoUBalancedNegSampler(6, 0.5, **options)


def test_combined_sampler_hands_its_arguments_on():
    sampler = SAMPLERS.build(
        {
            "type": "CombinedSampler",
            "num": 8,
            "pos_fraction": 0.25,
            "add_gt_as_proposals": False,
            "pos_sampler": {"type": "InstanceBalancedPosSampler"},
            "neg_sampler": {"type": "IoUBalancedNegSampler", "num_bins": 2},
        }
    )
    result = sample(sampler)
    assert (len(result.pos_inds), len(result.neg_inds)) == (2, 6)


def test_mask_pseudo_sampler_pairs_masks_with_their_truth():
    masks = torch.arange(20.0)[:, None, None].expand(20, 2, 2)
    truths = torch.tensor([10.0, 20.0])[:, None, None].expand(2, 2, 2)
    result = MaskPseudoSampler().sample(assigned(), masks, truths)
    assert result.masks[:, 0, 0].tolist() == [*range(8), *range(10, 20)]
    assert result.pos_gt_masks[:, 0, 0].tolist() == [10] * 4 + [20] * 4
