"""Balanced L1 loss of Libra R-CNN (arXiv:1904.02701)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from raydet.losses.base import Loss, same_shape


class BalancedL1Loss(Loss):
    """Absolute error that promotes the gradient of small errors.

    Args:
        alpha: how much; smaller promotes more.
        gamma: slope of large errors.
        beta: where small errors end; positive.
        reduction: `none`, `mean` or `sum`.
        loss_weight: factor on the result.

    Raises:
        ValueError: `beta` is not positive.
    """

    def __init__(
        self,
        alpha: float = 0.5,
        gamma: float = 1.5,
        beta: float = 1.0,
        reduction: str = "mean",
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(reduction, loss_weight)
        if beta <= 0:
            raise ValueError(f"beta must be positive, got {beta}")
        self.alpha = alpha
        self.gamma = gamma
        self.beta = beta

    def elementwise(self, pred: Tensor, target: Tensor, **kwargs: Any) -> Tensor:
        same_shape(pred, target)
        error = (pred - target).abs()
        b = math.exp(self.gamma / self.alpha) - 1
        near = self.alpha / b * (b * error + 1) * (b * error / self.beta + 1).log() - self.alpha * error
        far = self.gamma * error + self.gamma / b - self.alpha * self.beta
        return torch.where(error < self.beta, near, far)
