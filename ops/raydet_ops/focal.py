"""Focal loss (arXiv:1708.02002) of class indices, without building one-hot targets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raydet_ops._arrays import widened
from raydet_ops._checks import check_floating, check_integers, check_reduction, check_shape, check_tensors
from raydet_ops._operator import define, differentiate


def _plain(input: Tensor, target: Tensor, weight: Tensor | None, gamma: float, alpha: float) -> Tensor:
    z, factor, _ = _signed(input, target, weight, alpha)
    return factor * (-z).sigmoid().pow(gamma) * F.softplus(-z)


def _plain_backward(
    grad: Tensor, input: Tensor, target: Tensor, weight: Tensor | None, gamma: float, alpha: float
) -> Tensor:
    z, factor, sign = _signed(input, target, weight, alpha)
    miss = (-z).sigmoid()
    return -grad * sign * factor * miss.pow(gamma) * (gamma * (1 - miss) * F.softplus(-z) + miss)


def _signed(input: Tensor, target: Tensor, weight: Tensor | None, alpha: float) -> tuple[Tensor, Tensor, Tensor]:
    """Logits towards the right answer, factors, and the signs that turn the one into the other."""
    positive = target[:, None] == torch.arange(input.shape[1], device=input.device)
    sign = positive.to(input.dtype) * 2 - 1
    factor = torch.where(positive, alpha, 1 - alpha).to(input.dtype)
    return sign * input, factor if weight is None else factor * weight[:, None], sign


def _plain_softmax(input: Tensor, target: Tensor, weight: Tensor | None, gamma: float, alpha: float) -> Tensor:
    counts = (target >= 0) & (target < input.shape[1])
    hit = F.pad(input.log_softmax(1), (0, 1)).gather(1, target.where(counts, input.shape[1])[:, None]).squeeze(1)
    loss = -alpha * (-hit.expm1()).pow(gamma) * hit * counts
    return loss if weight is None else loss * weight


def _plain_softmax_backward(
    grad: Tensor, input: Tensor, target: Tensor, weight: Tensor | None, gamma: float, alpha: float
) -> Tensor:
    with torch.enable_grad():
        leaf = input.detach().requires_grad_()
        loss = _plain_softmax(leaf, target, weight, gamma, alpha)
        return torch.autograd.grad(loss, leaf, grad)[0].contiguous()


def _define(name: str, plain: Callable[..., Tensor], backward: Callable[..., Tensor], by_row: bool) -> Any:
    """An operator of logits `(R, K)`, classes and weights of rows `(R,)`, and its gradient in the logits."""
    given = "Tensor input, Tensor target, Tensor? weight, float gamma, float alpha"

    def like_input(input: Tensor) -> Tensor:
        return torch.empty_like(input, memory_format=torch.contiguous_format)

    forward = define(
        f"{name}({given}) -> Tensor",
        plain=plain,
        fake=lambda input, *rest: input.new_empty(input.shape[:1]) if by_row else like_input(input),
    )
    slope = define(
        f"{name}_backward(Tensor grad, {given}) -> Tensor",
        plain=backward,
        fake=lambda grad, input, *rest: like_input(input),
    )

    def gradient(tensors: dict[str, Tensor], numbers: dict[str, Any], grad: Tensor) -> tuple[Tensor | None, ...]:
        return slope(grad, **{**numbers, **tensors}), None, None, None, None

    differentiate(forward, gradient, saves=("input", "target", "weight"))
    return forward


_sigmoid = _define("sigmoid_focal_loss", _plain, _plain_backward, by_row=False)
_softmax = _define("softmax_focal_loss", _plain_softmax, _plain_softmax_backward, by_row=True)


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
        target: `(R,)` integer class in `[0, K)`; anything else, such as K, is background.
        gamma: how much easy examples count less.
        alpha: weight of positive elements; negative ones weigh `1 - alpha`.
        weight: `(K,)` or `(K + 1,)` weight of the rows of each class; it has no gradient.
        reduction: `none` `(R, K)`, `sum`, or `mean` over rows.

    Returns:
        The loss in float32 or float64.

    Raises:
        ValueError: wrong shapes, several devices or unknown reduction.
        TypeError: logits or weights are not floating, or classes not integers.
    """
    return _focal_loss(_sigmoid, input, target, gamma, alpha, weight, reduction)


def softmax_focal_loss(
    input: Tensor,
    target: Tensor,
    gamma: float = 2.0,
    alpha: float = 0.25,
    weight: Tensor | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Focal loss of the softmax over classes.

    Args:
        input: `(R, K)` logits.
        target: `(R,)` integer class in `[0, K)`; rows of any other have no loss.
        gamma: how much easy examples count less.
        alpha: factor on the loss.
        weight: `(K,)` weight of the rows of each class; it has no gradient.
        reduction: `none` `(R,)`, `sum`, or `mean` over rows.

    Returns:
        The loss in float32 or float64.

    Raises:
        ValueError: wrong shapes, several devices or unknown reduction.
        TypeError: logits or weights are not floating, or classes not integers.
    """
    return _focal_loss(_softmax, input, target, gamma, alpha, weight, reduction)


class SigmoidFocalLoss(nn.Module):
    """`sigmoid_focal_loss` with fixed settings.

    Args:
        gamma: how much easy examples count less.
        alpha: weight of positive elements; negative ones weigh `1 - alpha`.
        weight: `(K,)` weight of the rows of each class.
        reduction: `none`, `sum` or `mean`.
    """

    function = staticmethod(sigmoid_focal_loss)
    weight: Tensor | None

    def __init__(self, gamma: float, alpha: float, weight: Tensor | None = None, reduction: str = "mean") -> None:
        super().__init__()
        self.gamma = gamma
        self.alpha = alpha
        self.register_buffer("weight", weight)
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of logits `(R, K)` for classes `(R,)`."""
        return self.function(input, target, self.gamma, self.alpha, self.weight, self.reduction)

    def extra_repr(self) -> str:
        return f"gamma={self.gamma}, alpha={self.alpha}, reduction={self.reduction}"


class SoftmaxFocalLoss(SigmoidFocalLoss):
    """`softmax_focal_loss` with fixed settings, those of `SigmoidFocalLoss`."""

    function = staticmethod(softmax_focal_loss)


def _focal_loss(
    operator: Any,
    input: Tensor,
    target: Tensor,
    gamma: float,
    alpha: float,
    weight: Tensor | None,
    reduction: str,
) -> Tensor:
    _check(input, target, weight)
    check_reduction(reduction)
    logits, classes = widened(input), target.long()
    factors = None if weight is None else _row_weights(weight.to(logits.dtype), classes)
    loss: Tensor = operator(logits, classes, factors, float(gamma), float(alpha))
    if reduction == "none":
        return loss
    return loss.sum() if reduction == "sum" else loss.sum() / max(len(input), 1)


def _check(input: Tensor, target: Tensor, weight: Tensor | None) -> None:
    weights = {} if weight is None else {"weight": weight}
    check_tensors(input=input, target=target, **weights)
    check_shape("input, the logits,", input, "R", "K")
    check_shape("target", target, input.shape[0])
    check_floating(input=input, **weights)
    check_integers(target=target)
    if weight is not None and weight.shape not in ((input.shape[1],), (input.shape[1] + 1,)):
        raise ValueError(f"weight must have one value per class, ({input.shape[1]},), got {tuple(weight.shape)}")


def _row_weights(weight: Tensor, target: Tensor) -> Tensor:
    """The weight of the class of each row `(R,)`; 1 for rows of no class that `weight` knows."""
    known = (target >= 0) & (target < len(weight))
    return F.pad(weight, (0, 1), value=1.0)[target.where(known, len(weight))].detach()
