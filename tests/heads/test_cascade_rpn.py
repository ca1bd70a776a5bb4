"""Cascade RPN: convolutions that follow anchors, and stages that refine them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from dense_settings import ASSIGNER, SIZES, STRIDES, TEST
from torch import Tensor, nn

from raydet.heads.dense.adaption import AdaptiveConv, offsets_over
from raydet.heads.settings import Prediction
from raydet.registry import HEADS
from raydet.structures import Batch, GroundTruth, ImageMeta

META = ImageMeta.from_dict({"img_shape": (64, 96)})
REGIONS = {"type": "RegionAssigner", "center_ratio": 0.4, "ignore_ratio": 0.6}
SAMPLER = {"type": "RandomSampler", "num": 8, "pos_fraction": 0.5, "add_gt_as_proposals": False}
STAGE = {
    "type": "StageCascadeRPNHead",
    "in_channels": 8,
    "feat_channels": 8,
    "reg_decoded_bbox": True,
    "anchor_generator": {"type": "AnchorGenerator", "scales": [4], "ratios": [1.0], "strides": STRIDES},
    "loss_bbox": {"type": "IoULoss", "linear": True},
}
FIRST = {**STAGE, "adapt_cfg": {"type": "dilation", "dilation": 3}, "with_cls": False, "sampling": False}


def feats(num: int = 2) -> list[Tensor]:
    return [torch.randn(num, 8, h, w, generator=torch.Generator().manual_seed(h)) for h, w in SIZES]


def batch(*boxes: list[float]) -> Batch:
    truth = GroundTruth(torch.tensor(boxes).reshape(-1, 4), torch.full((len(boxes),), 7))
    return Batch(torch.zeros(2, 3, 64, 96), [META] * 2, [truth] * 2)


def make(**changes: Any) -> Any:
    torch.manual_seed(0)
    head = HEADS.build(
        {
            "type": "CascadeRPNHead",
            "num_stages": 2,
            "stages": [{**FIRST, "bridged_feature": True}, {**STAGE, "adapt_cfg": {"type": "offset"}}],
            "train_cfg": [{"assigner": REGIONS}, {"assigner": ASSIGNER, "sampler": SAMPLER}],
            "test_cfg": TEST,
            **changes,
        }
    )
    head.init_weights()
    return head


def test_anchors_of_three_cells_leave_the_taps_where_they_are() -> None:
    cells = torch.tensor([[x * 8.0, y * 8.0] for y in range(2) for x in range(3)])
    anchors = torch.cat([cells - 8, cells + 8], dim=1)[None]
    assert not offsets_over(anchors, (2, 3), 8).any()


def test_taps_spread_over_the_anchor() -> None:
    anchors = torch.tensor([[[-8.0, -16.0, 24.0, 16.0]]])
    y, x = offsets_over(anchors, (1, 1), 8).view(3, 3, 2).unbind(-1)
    assert (x + torch.tensor([-1, 0, 1])).tolist() == [[-1, 1, 3]] * 3
    assert (y + torch.tensor([[-1], [0], [1]])).tolist() == [[-2] * 3, [0] * 3, [2] * 3]


@pytest.mark.parametrize(
    "options",
    [{"kernel_size": 5}, {"type": "shift"}, {"type": "offset", "groups": 2}, {"type": "offset", "bias": True}],
)
def test_adaptive_convolution_refuses_what_it_cannot_do(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="got"):
        AdaptiveConv(8, 8, **options)


@pytest.mark.parametrize("num_boxes", [0, 2])
def test_losses_of_all_stages_reach_every_parameter(num_boxes: int) -> None:
    head = make()
    boxes = [[10.0, 8.0, 50.0, 40.0], [40.0, 20.0, 90.0, 60.0]][:num_boxes]
    losses, proposals = head.loss_and_proposals(feats(), batch(*boxes), Prediction())
    assert set(losses) == {"s0.loss_rpn_reg", "s1.loss_rpn_cls", "s1.loss_rpn_reg"}
    sum(losses.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())
    assert [0 < len(each) <= 10 for each in proposals] == [True, True]


def test_second_stage_learns_on_the_boxes_of_the_first() -> None:
    head = make()
    nn.init.constant_(head.stages[0].rpn_reg.weight, 0)
    head.stages[0].rpn_reg.bias.data = torch.tensor([0.0, 0.0, 0.5, 0.0])
    (_, first), (_, second) = head.observe(feats(), [META] * 2)
    inner = (first.priors[:, 0] > 32) & (first.priors[:, 2] < 64)
    sides, refined = (each[..., 2] - each[..., 0] for each in (first.priors, second.priors))
    torch.testing.assert_close(refined[0, inner], sides[inner] * torch.tensor(0.5).exp())
    assert (second.priors >= 0).all()
    assert (second.priors[..., 3] <= 64).all()


def test_a_single_stage_may_see_the_features_of_the_last_one_or_not() -> None:
    seen = {}
    for bridged in (True, False):
        head = make(stages=[{**FIRST, "bridged_feature": bridged}, {**STAGE, "adapt_cfg": {"type": "offset"}}])
        (_, _), (_, output) = head.observe(feats(), [META] * 2)
        seen[bridged] = output["cls"]
    assert not torch.equal(seen[True], seen[False])


def test_views_of_an_image_are_proposed_together() -> None:
    flipped = ImageMeta.from_dict({"img_shape": (64, 96), "flip": True, "flip_direction": "horizontal"})
    found = make().proposals_augmented([feats(1), feats(1)], [META, flipped])
    assert 0 < len(found) <= 10


def test_number_of_stages_must_fit() -> None:
    with pytest.raises(ValueError, match="num_stages=3 but there are 2 stages"):
        make(num_stages=3)
