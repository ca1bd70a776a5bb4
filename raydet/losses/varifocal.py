"""Varifocal loss (arXiv:2008.13367)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from raydet.losses.base import Loss, need_sigmoid, same_shape


class VarifocalLoss(Loss):
    """Focal loss of negatives only; positives, whose target is their overlap, all count.

    Args:
        use_sigmoid: must be true; classes are independent.
        alpha: weight of negatives.
        gamma: how much easy negatives count less.
        iou_weighted: positives count in proportion to their target.
        reduction: `none`, `mean` or `sum`.
        loss_weight: factor on the result.

    Raises:
        NotImplementedError: `use_sigmoid` is false.
        ValueError: `alpha` is negative.
    """

    def __init__(
        self,
        use_sigmoid: bool = True,
        alpha: float = 0.75,
        gamma: float = 2.0,
        iou_weighted: bool = True,
        reduction: str = "mean",
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(reduction, loss_weight)
        if alpha < 0:
            raise ValueError(f"alpha must not be negative, got {alpha}")
        self.use_sigmoid = need_sigmoid(self, use_sigmoid)
        self.alpha = alpha
        self.gamma = gamma
        self.iou_weighted = iou_weighted

    def elementwise(self, pred: Tensor, target: Tensor, **kwargs: Any) -> Tensor:
        same_shape(pred, target)
        target = target.type_as(pred)
        positive = target if self.iou_weighted else torch.ones_like(target)
        negative = self.alpha * (pred.sigmoid() - target).abs().pow(self.gamma)
        focus = torch.where(target > 0, positive, negative)
        return F.binary_cross_entropy_with_logits(pred, target, reduction="none") * focus
