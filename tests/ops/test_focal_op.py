from __future__ import annotations

import pytest
import torch
import torchvision
from raydet_ops import sigmoid_focal_loss

LOGITS = torch.linspace(-4, 4, 20, dtype=torch.float64).view(5, 4)
CLASSES = torch.tensor([0, 3, 4, 1, -1])
ONE_HOT = torch.nn.functional.one_hot(torch.tensor([0, 3, 4, 1, 4]), 5)[:, :4].double()


@pytest.mark.parametrize(("gamma", "alpha"), [(2.0, 0.25), (1.5, 0.6), (0.0, 0.5)])
def test_focal_loss_equals_the_dense_formula_with_gradient(gamma, alpha):
    ours, theirs = LOGITS.clone().requires_grad_(), LOGITS.clone().requires_grad_()
    loss = sigmoid_focal_loss(ours, CLASSES, gamma, alpha, None, "none")
    expected = torchvision.ops.sigmoid_focal_loss(theirs, ONE_HOT, alpha, gamma)
    torch.testing.assert_close(loss, expected)
    loss.mul(LOGITS).sum().backward()
    expected.mul(LOGITS).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize(("reduction", "factor"), [("sum", 1.0), ("mean", 1 / 5)])
def test_focal_loss_mean_divides_by_rows(reduction, factor):
    each = sigmoid_focal_loss(LOGITS, CLASSES, reduction="none")
    torch.testing.assert_close(sigmoid_focal_loss(LOGITS, CLASSES, reduction=reduction), each.sum() * factor)


def test_focal_loss_of_extreme_logits_is_finite():
    logits = torch.tensor([[200.0, -200.0]], requires_grad=True)
    loss = sigmoid_focal_loss(logits, torch.tensor([1]), reduction="sum")
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


def test_focal_loss_with_class_weights_scales_rows():
    weight = torch.tensor([2.0, 1.0, 1.0, 3.0]).double()
    plain = sigmoid_focal_loss(LOGITS[:4], CLASSES[:4], reduction="none")
    weighted = sigmoid_focal_loss(LOGITS[:4], CLASSES[:4], weight=weight, reduction="none")
    torch.testing.assert_close(weighted, plain * torch.tensor([2.0, 3.0, 1.0, 1.0]).double()[:, None])


def test_focal_loss_of_half_precision_is_computed_in_float():
    assert sigmoid_focal_loss(LOGITS.half(), CLASSES, reduction="sum").dtype == torch.float32


@pytest.mark.parametrize("shape", [(0, 4), (3, 0)])
def test_focal_loss_of_nothing_is_zero(shape):
    assert sigmoid_focal_loss(torch.zeros(shape), torch.zeros(shape[0], dtype=torch.long)) == 0


@pytest.mark.parametrize(("target", "reduction"), [(ONE_HOT, "sum"), (CLASSES[:2], "sum"), (CLASSES, "median")])
def test_focal_loss_with_wrong_arguments_raises(target, reduction):
    with pytest.raises(ValueError, match=r"target must have shape|reduction"):
        sigmoid_focal_loss(LOGITS, target, reduction=reduction)
