from __future__ import annotations

import pytest
import torch

from raydet.losses import SmoothL1Loss, carl_loss

LABELS = torch.tensor([0, 2, 1])
LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.0, 0.0, 5.0], [0.0, -1.0, 0.0]])
BOXES, WANTED = torch.arange(12.0).view(3, 4), torch.zeros(3, 4)


@pytest.mark.parametrize("sigmoid", [False, True])
def test_positives_are_weighed_by_the_probability_of_their_class(sigmoid):
    found = carl_loss(LOGITS, LABELS, BOXES, WANTED, SmoothL1Loss(), k=2, bias=0.3, sigmoid=sigmoid, num_class=2)
    chance = (LOGITS.sigmoid() if sigmoid else LOGITS.softmax(1))[[0, 2], [0, 1]]
    weights = (0.3 + 0.7 * chance) ** 2
    weights = 2 * weights / weights.sum()
    each = SmoothL1Loss()(BOXES[[0, 2]], WANTED[[0, 2]], reduction_override="none").sum(1)
    torch.testing.assert_close(found["loss_carl"], ((each * weights).sum() / 3)[None])


def test_boxes_of_the_class_count_and_gradients_reach_the_scores():
    logits, codes = LOGITS.clone().requires_grad_(), torch.cat([BOXES + 9, BOXES], dim=1).requires_grad_()
    found = carl_loss(logits, LABELS, codes, WANTED, SmoothL1Loss(), avg_factor=2, num_class=2)["loss_carl"]
    found.sum().backward()
    assert logits.grad is not None
    assert logits.grad[[0, 2]].abs().sum(dim=1).min() > 0
    assert not logits.grad[1].any()
    assert codes.grad is not None
    assert codes.grad.view(3, 2, 4).abs().sum(dim=2).ne(0).tolist() == [[True, False], [False, False], [False, True]]


def test_without_positives_the_loss_is_zero_and_differentiable():
    logits = LOGITS.clone().requires_grad_()
    carl_loss(logits, LABELS * 0 + 2, BOXES, WANTED, SmoothL1Loss(), num_class=2)["loss_carl"].sum().backward()
    assert logits.grad is not None
    assert not logits.grad.any()
