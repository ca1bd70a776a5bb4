"""Absolute error, and absolute error that is squared near zero (arXiv:1504.08083)."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from raydet.losses.base import Loss, same_shape


class L1Loss(Loss):
    """Absolute error.

    Args:
        reduction: `none`, `mean` or `sum`.
        loss_weight: factor on the result.
    """

    def elementwise(self, pred: Tensor, target: Tensor, **kwargs: Any) -> Tensor:
        same_shape(pred, target)
        return F.l1_loss(pred, target, reduction="none")


class SmoothL1Loss(Loss):
    """Squared error below `beta`, absolute error above.

    Args:
        beta: where one becomes the other; positive.
        reduction: `none`, `mean` or `sum`.
        loss_weight: factor on the result.

    Raises:
        ValueError: `beta` is not positive.
    """

    def __init__(self, beta: float = 1.0, reduction: str = "mean", loss_weight: float = 1.0) -> None:
        super().__init__(reduction, loss_weight)
        if beta <= 0:
            raise ValueError(f"beta must be positive, got {beta}; L1Loss is the limit at 0")
        self.beta = beta

    def elementwise(self, pred: Tensor, target: Tensor, **kwargs: Any) -> Tensor:
        same_shape(pred, target)
        return F.smooth_l1_loss(pred, target, reduction="none", beta=self.beta)
