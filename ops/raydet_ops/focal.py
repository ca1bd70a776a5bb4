"""Focal loss (arXiv:1708.02002) of class indices, without building one-hot targets."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from raydet_ops._arrays import widened


class _SigmoidFocalLoss(torch.autograd.Function):
    """Nearly every element is negative: compute all as negative in few passes, then put the positive ones right."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, target: Tensor, gamma: float, alpha: float) -> Tensor:
        wants_gradient = logits.requires_grad
        probability, penalty = logits.sigmoid(), F.softplus(logits)
        focus = probability.square() if gamma == 2 else probability.pow(gamma)
        gradient = _negative_gradient(probability, penalty, focus, gamma, alpha) if wants_gradient else None
        loss = focus.mul_(penalty).mul_(1 - alpha)
        if logits.numel():
            _correct_positives(logits, target, gamma, alpha, loss, gradient)
        if gradient is not None:
            ctx.save_for_backward(gradient)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * grad_output, None, None, None


def _negative_gradient(probability: Tensor, penalty: Tensor, focus: Tensor, gamma: float, alpha: float) -> Tensor:
    """Derivative of `(1 - alpha) p^gamma softplus(x)`; uses up `probability`."""
    slope = torch.addcmul(penalty, probability, penalty, value=-1).mul_(gamma).add_(probability)
    return slope.mul_(focus).mul_(1 - alpha)


def _correct_positives(
    logits: Tensor, target: Tensor, gamma: float, alpha: float, loss: Tensor, gradient: Tensor | None
) -> None:
    """Overwrite one element in each row whose target is a class, without waiting for the device to count them."""
    positive = ((target >= 0) & (target < logits.shape[1]))[:, None]
    column = target.clamp(0, logits.shape[1] - 1)[:, None]
    for dense, value in zip((loss, gradient), _positive(logits.gather(1, column), gamma, alpha), strict=True):
        if dense is not None:
            dense.scatter_(1, column, torch.where(positive, value, dense.gather(1, column)))


def _positive(logits: Tensor, gamma: float, alpha: float) -> tuple[Tensor, Tensor]:
    """Loss of positive elements `alpha (1 - p)^gamma softplus(-x)` and its derivative."""
    miss, penalty = (-logits).sigmoid(), F.softplus(-logits)
    focus = alpha * miss.pow(gamma)
    return focus * penalty, -focus * (gamma * (1 - miss) * penalty + miss)


def sigmoid_focal_loss(
    input: Tensor,
    target: Tensor,
    gamma: float = 2.0,
    alpha: float = 0.25,
    weight: Tensor | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Sigmoid focal loss.

    Args:
        input: `(R, K)` logits.
        target: `(R,)` int64 class in `[0, K)`; anything else, such as K, is background.
        gamma: how much easy examples count less.
        alpha: weight of positive elements; negative ones weigh `1 - alpha`.
        weight: `(K,)` or `(K + 1,)` weight of the rows of each class.
        reduction: `none` `(R, K)`, `sum`, or `mean` over rows.

    Returns:
        The loss in float32 or float64.

    Raises:
        ValueError: wrong shapes or unknown reduction.
    """
    if input.ndim != 2 or target.shape != input.shape[:1]:
        raise ValueError(f"expected (R, K) logits and (R,) classes, got {tuple(input.shape)} and {tuple(target.shape)}")
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"reduction must be 'none', 'mean' or 'sum', got {reduction!r}")
    loss: Tensor = _SigmoidFocalLoss.apply(widened(input), target, float(gamma), float(alpha))
    if weight is not None:
        padded = torch.cat([weight, weight.new_ones(1)])
        loss = loss * padded[target.clamp(max=len(weight))][:, None]
    if reduction == "none":
        return loss
    return loss.sum() if reduction == "sum" else loss.sum() / max(len(input), 1)
