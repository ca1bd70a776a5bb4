"""What every loss of the registry must do, and the shared weighting function."""

from __future__ import annotations

import pytest
import torch

from raydet.losses import Loss, weight_reduce_loss, weighted_loss
from raydet.registry import LOSSES

BOXES = torch.tensor([[0.0, 0.0, 10.0, 10.0], [5.0, 5.0, 15.0, 12.0], [1.0, 2.0, 9.0, 8.0]])
LOGITS = torch.linspace(-2, 2, 12).view(3, 4)
CLASSES = torch.tensor([0, 4, 2])


def boxes(name: str):
    return pytest.param({"type": name}, BOXES + 0.7, BOXES, id=name)


def logits(name: str, target: object, **options: object):
    return pytest.param({"type": name, **options}, LOGITS, target, id="-".join([name, *map(str, options.values())]))


CASES = [
    *(boxes(name) for name in ("L1Loss", "SmoothL1Loss", "MSELoss", "BalancedL1Loss", "BoundedIoULoss")),
    *(boxes(name) for name in ("IoULoss", "GIoULoss", "DIoULoss", "CIoULoss")),
    logits("CrossEntropyLoss", CLASSES % 4),
    logits("CrossEntropyLoss", CLASSES, use_sigmoid=True),
    logits("FocalLoss", CLASSES),
    logits("FocalLoss", LOGITS.sigmoid(), gamma=1.5),
    logits("QualityFocalLoss", (CLASSES, torch.tensor([0.3, 0.0, 0.9]))),
    logits("DistributionFocalLoss", torch.tensor([0.4, 2.9, 1.0])),
    logits("VarifocalLoss", LOGITS.sigmoid().round() * 0.5),
    logits("KnowledgeDistillationKLDivLoss", LOGITS.flip(1)),
    logits("DiceLoss", LOGITS.sigmoid().round()),
    pytest.param({"type": "GaussianFocalLoss"}, LOGITS.sigmoid(), LOGITS.sigmoid().flip(1), id="GaussianFocalLoss"),
]
EACH = pytest.mark.parametrize(("cfg", "pred", "target"), CASES)


@EACH
def test_loss_reductions_agree_with_each_other(cfg, pred, target):
    loss = LOSSES.build(cfg)
    each = loss(pred, target, reduction_override="none")
    torch.testing.assert_close(loss(pred, target, reduction_override="sum"), each.sum())
    torch.testing.assert_close(loss(pred, target), each.mean())
    torch.testing.assert_close(loss(pred, target, avg_factor=7.0), each.sum() / 7, rtol=1e-5, atol=1e-6)


@EACH
def test_loss_weights_select_rows(cfg, pred, target):
    loss = LOSSES.build(cfg)
    each = loss(pred, target, reduction_override="none")
    weight = torch.tensor([1.0, 0.0, 2.0])
    rows = weight if each.ndim == 1 else weight[:, None].expand_as(each)
    if each.ndim == 2 and cfg["type"] not in ("FocalLoss", "CrossEntropyLoss"):
        weight = rows
    torch.testing.assert_close(loss(pred, target, weight=weight, avg_factor=2.0), (each * rows).sum() / 2)


@EACH
def test_loss_weight_scales_the_loss(cfg, pred, target):
    torch.testing.assert_close(
        LOSSES.build({**cfg, "loss_weight": 3.0})(pred, target), 3 * LOSSES.build(cfg)(pred, target)
    )


@EACH
def test_loss_is_finite_and_has_a_gradient(cfg, pred, target):
    leaf = pred.clone().requires_grad_()
    LOSSES.build(cfg)(leaf, target).backward()
    assert torch.isfinite(leaf.grad).all()
    assert leaf.grad.count_nonzero() > 0


@EACH
def test_loss_with_unknown_reduction_raises(cfg, pred, target):
    with pytest.raises(ValueError, match="reduction"):
        LOSSES.build({**cfg, "reduction": "median"})
    with pytest.raises(ValueError, match="reduction"):
        LOSSES.build(cfg)(pred, target, reduction_override="median")


@pytest.mark.parametrize("name", ["L1Loss", "SmoothL1Loss", "IoULoss", "GIoULoss", "DIoULoss", "CIoULoss", "FocalLoss"])
def test_loss_of_nothing_is_zero_with_a_gradient(name):
    pred = torch.zeros(0, 4, requires_grad=True)
    target = torch.zeros(0, dtype=torch.long) if name == "FocalLoss" else torch.zeros(0, 4)
    loss = LOSSES.build({"type": name})(pred, target)
    loss.backward()
    assert loss == 0


@pytest.mark.parametrize(
    ("weight", "reduction", "avg_factor", "expected"),
    [
        (None, "mean", None, 2.0),
        (None, "sum", None, 6.0),
        (torch.tensor([1.0, 0, 1]), "mean", None, 4 / 3),
        (torch.tensor([1.0, 0, 1]), "mean", 2, 2.0),
        (torch.tensor([1.0, 0, 1]), "mean", torch.tensor(4.0), 1.0),
        (torch.tensor([1.0, 0, 1]), "none", 2, [1.0, 0.0, 3.0]),
    ],
)
def test_weight_reduce_loss_of_literal_values(weight, reduction, avg_factor, expected):
    reduced = weight_reduce_loss(torch.tensor([1.0, 2.0, 3.0]), weight, reduction, avg_factor)
    torch.testing.assert_close(reduced, torch.tensor(expected))


def test_avg_factor_with_sum_raises():
    with pytest.raises(ValueError, match="avg_factor"):
        weight_reduce_loss(torch.ones(2), reduction="sum", avg_factor=2)


def test_weighted_loss_gives_a_function_the_usual_arguments():
    @weighted_loss
    def cubic(pred, target, power=3):
        return (pred - target) ** power

    pred, target = torch.tensor([3.0, 2.0]), torch.tensor([1.0, 1.0])
    assert cubic(pred, target, torch.tensor([1.0, 0.0]), avg_factor=2) == 4
    assert cubic(pred, target, reduction="sum", power=2) == 5


def test_a_plug_in_states_only_its_formula():
    class Huge(Loss):
        def elementwise(self, pred, target):
            return (pred - target) * 1e6

    assert Huge(loss_weight=0.5)(torch.ones(4), torch.zeros(4)) == 5e5
    assert "loss_weight=0.5" in repr(Huge(loss_weight=0.5))
