from __future__ import annotations

import math

import pytest
import torch

from raydet.losses import (
    AssociativeEmbeddingLoss,
    BalancedL1Loss,
    CIoULoss,
    DIoULoss,
    GIoULoss,
    IoULoss,
    L1Loss,
    SmoothL1Loss,
)
from raydet.registry import LOSSES

ONE = torch.tensor([[0.0, 0.0, 10.0, 10.0]])
HALF = torch.tensor([[0.0, 0.0, 10.0, 5.0]])
AWAY = torch.tensor([[20.0, 0.0, 30.0, 10.0]])


@pytest.mark.parametrize(("mode", "expected"), [("log", math.log(2)), ("linear", 0.5), ("square", 0.75)])
def test_iou_loss_of_half_an_overlap(mode, expected):
    assert IoULoss(mode=mode)(HALF, ONE) == pytest.approx(expected)


def test_iou_loss_takes_the_old_name_of_linear():
    assert IoULoss(linear=True).mode == "linear"


def test_iou_loss_with_unknown_mode_raises():
    with pytest.raises(ValueError, match="square"):
        IoULoss(mode="cubic")


@pytest.mark.parametrize(
    ("kind", "expected"), [(GIoULoss, 1 + 1 / 3), (DIoULoss, 1 + 400 / 1000), (CIoULoss, 1 + 400 / 1000)]
)
def test_losses_of_boxes_apart_grow_with_the_gap(kind, expected):
    assert kind()(AWAY, ONE) == pytest.approx(expected, rel=1e-4)


def test_ciou_adds_the_difference_of_shapes():
    most = torch.tensor([[0.0, 0.0, 10.0, 6.0]])
    shape = 4 / math.pi**2 * (math.atan(1) - math.atan(10 / 6)) ** 2
    extra = CIoULoss()(most, ONE) - DIoULoss()(most, ONE)
    assert extra.item() == pytest.approx(shape**2 / (0.4 + shape), rel=1e-3)


def test_ciou_leaves_the_shape_alone_below_half_an_overlap():
    torch.testing.assert_close(CIoULoss()(HALF, ONE), DIoULoss()(HALF, ONE))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_ciou_without_positive_weights_is_zero_even_for_perfect_boxes(reduction):
    pred = ONE.clone().requires_grad_()
    loss = CIoULoss(reduction=reduction)(pred, ONE, weight=torch.zeros(1))
    loss.backward()
    assert loss == 0
    assert pred.grad.count_nonzero() == 0


def test_box_losses_average_weights_of_coordinates():
    weight = torch.tensor([[1.0, 1.0, 0.0, 0.0]])
    assert GIoULoss(reduction="sum")(AWAY, ONE, weight) == pytest.approx(0.5 * (1 + 1 / 3))


@pytest.mark.parametrize(("error", "expected"), [(0.5, 0.125 / 1.0), (3.0, 2.5)])
def test_smooth_l1_is_squared_near_zero(error, expected):
    assert SmoothL1Loss()(torch.tensor([error]), torch.zeros(1)) == pytest.approx(expected)


def test_balanced_l1_is_continuous_at_beta():
    loss = BalancedL1Loss(beta=0.8)
    near, far = (loss(torch.tensor([0.8 + d]), torch.zeros(1)) for d in (-1e-5, 1e-5))
    assert near == pytest.approx(far.item(), abs=1e-4)


@pytest.mark.parametrize("kind", [L1Loss, SmoothL1Loss, BalancedL1Loss])
def test_losses_of_unequal_shapes_raise(kind):
    with pytest.raises(ValueError, match="shapes"):
        kind()(torch.zeros(3, 4), torch.zeros(3))


@pytest.mark.parametrize(
    "cfg",
    [
        {"type": "SmoothL1Loss", "beta": 0},
        {"type": "BalancedL1Loss", "beta": 0},
        {"type": "VarifocalLoss", "alpha": -1},
        {"type": "KnowledgeDistillationKLDivLoss", "T": 0},
    ],
)
def test_parameters_out_of_range_raise(cfg):
    with pytest.raises(ValueError, match=r"beta|alpha|temperature"):
        LOSSES.build(cfg)


def test_embeddings_pull_corners_together_and_push_objects_apart():
    first = torch.tensor([[0.0, 1.0]]).view(1, 1, 1, 2)
    second = torch.tensor([[2.0, 1.5]]).view(1, 1, 1, 2)
    match = [[[[0, 0], [0, 0]], [[0, 1], [0, 1]]]]
    pull, push = AssociativeEmbeddingLoss(1.0, 1.0)(first, second, match)
    assert pull == pytest.approx((2 + 0.125) / 2)
    assert push == pytest.approx(1 - 0.25)


def test_embeddings_of_no_object_cost_nothing():
    pull, push = AssociativeEmbeddingLoss()(torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2), [[]])
    assert (pull, push) == (0, 0)
