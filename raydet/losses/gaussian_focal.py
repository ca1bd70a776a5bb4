"""Focal loss of heat maps (CornerNet, arXiv:1808.01244)."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from raydet.losses.base import Loss

EPS = 1e-12


class GaussianFocalLoss(Loss):
    """Focal loss of probabilities with soft targets that peak at 1.

    Args:
        alpha: how much easy examples count less.
        gamma: how much places near a peak count less as negatives.
        reduction: `none`, `mean` or `sum`.
        loss_weight: factor on the result.
    """

    def __init__(
        self, alpha: float = 2.0, gamma: float = 4.0, reduction: str = "mean", loss_weight: float = 1.0
    ) -> None:
        super().__init__(reduction, loss_weight)
        self.alpha = alpha
        self.gamma = gamma

    def elementwise(self, pred: Tensor, target: Tensor, **kwargs: Any) -> Tensor:
        positive = (1 - pred).pow(self.alpha) * (target == 1) * -(pred + EPS).log()
        negative = pred.pow(self.alpha) * (1 - target).pow(self.gamma) * -(1 - pred + EPS).log()
        return positive + negative
