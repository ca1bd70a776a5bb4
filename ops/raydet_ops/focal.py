"""Focal loss (arXiv:1708.02002) of class indices, without building one-hot targets."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from raydet_ops._arrays import widened
from raydet_ops._operator import define, differentiate


def _plain(input: Tensor, target: Tensor, gamma: float, alpha: float) -> Tensor:
    z, weight, _ = _signed(input, target, alpha)
    return weight * (-z).sigmoid().pow(gamma) * F.softplus(-z)


def _plain_backward(grad: Tensor, input: Tensor, target: Tensor, gamma: float, alpha: float) -> Tensor:
    z, weight, sign = _signed(input, target, alpha)
    miss = (-z).sigmoid()
    return -grad * sign * weight * miss.pow(gamma) * (gamma * (1 - miss) * F.softplus(-z) + miss)


def _signed(input: Tensor, target: Tensor, alpha: float) -> tuple[Tensor, Tensor, Tensor]:
    """Logits towards the right answer, weights, and the signs that turn the one into the other."""
    positive = target[:, None] == torch.arange(input.shape[1], device=input.device)
    sign = positive.to(input.dtype) * 2 - 1
    return sign * input, torch.where(positive, alpha, 1 - alpha).to(input.dtype), sign


_sigmoid = define(
    "sigmoid_focal_loss(Tensor input, Tensor target, float gamma, float alpha) -> Tensor",
    plain=_plain,
    fake=lambda input, target, gamma, alpha: torch.empty_like(input, memory_format=torch.contiguous_format),
)
_sigmoid_backward = define(
    "sigmoid_focal_loss_backward(Tensor grad, Tensor input, Tensor target, float gamma, float alpha) -> Tensor",
    plain=_plain_backward,
    fake=lambda grad, input, target, gamma, alpha: torch.empty_like(input, memory_format=torch.contiguous_format),
)


def _gradient(tensors: dict[str, Tensor], numbers: dict[str, Any], grad: Tensor) -> tuple[Tensor | None, ...]:
    return _sigmoid_backward(grad, tensors["input"], tensors["target"], **numbers), None, None, None


differentiate(_sigmoid, _gradient, saves=("input", "target"))


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
    loss: Tensor = _sigmoid(widened(input), target.long(), float(gamma), float(alpha))
    if weight is not None:
        padded = torch.cat([weight, weight.new_ones(1)])
        loss = loss * padded[target.clamp(max=len(weight))][:, None]
    if reduction == "none":
        return loss
    return loss.sum() if reduction == "sum" else loss.sum() / max(len(input), 1)
