"""Squared error."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from raydet.losses.base import Loss


class MSELoss(Loss):
    """Squared error.

    Args:
        reduction: `none`, `mean` or `sum`.
        loss_weight: factor on the result.
    """

    def elementwise(self, pred: Tensor, target: Tensor, **kwargs: Any) -> Tensor:
        return F.mse_loss(pred, target, reduction="none")
