"""Focal loss (arXiv:1708.02002): easy examples count less."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from raydet_ops import sigmoid_focal_loss
from torch import Tensor

from raydet.losses.base import Factor, Loss, need_sigmoid, per_row, weight_reduce_loss


class FocalLoss(Loss):
    """Sigmoid focal loss.

    Args:
        use_sigmoid: must be true; classes are independent.
        gamma: how much easy examples count less.
        alpha: weight of positive elements; negative ones weigh `1 - alpha`.
        reduction: `none`, `mean` or `sum`.
        loss_weight: factor on the result.
        activated: predictions are probabilities already.

    Raises:
        NotImplementedError: `use_sigmoid` is false.
    """

    def __init__(
        self,
        use_sigmoid: bool = True,
        gamma: float = 2.0,
        alpha: float = 0.25,
        reduction: str = "mean",
        loss_weight: float = 1.0,
        activated: bool = False,
    ) -> None:
        super().__init__(reduction, loss_weight)
        self.use_sigmoid = need_sigmoid(self, use_sigmoid)
        self.gamma = gamma
        self.alpha = alpha
        self.activated = activated

    def elementwise(self, pred: Tensor, target: Tensor, **kwargs: Any) -> Tensor:
        if not self.activated and pred.ndim != target.ndim:
            return sigmoid_focal_loss(pred, target, self.gamma, self.alpha, None, "none")
        truth = (target if pred.ndim == target.ndim else one_hot(target, pred.shape[1])).type_as(pred)
        probability = pred if self.activated else pred.sigmoid()
        miss = (1 - probability) * truth + probability * (1 - truth)
        focus = (self.alpha * truth + (1 - self.alpha) * (1 - truth)) * miss.pow(self.gamma)
        entropy = F.binary_cross_entropy if self.activated else F.binary_cross_entropy_with_logits
        return entropy(pred, truth, reduction="none") * focus

    def forward(
        self,
        pred: Tensor,
        target: Tensor,
        weight: Tensor | None = None,
        avg_factor: Factor = None,
        reduction_override: str | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """Compute the loss.

        Args:
            pred: `(R, K)` logits, or probabilities when `activated`.
            target: `(R,)` classes where K is background, or `(R, K)` one-hot.
            weight: `(R,)` or `(R, K)`.
            avg_factor: divides the sum when the mean is wanted.
            reduction_override: instead of the reduction given to the constructor.
            kwargs: none.
        """
        loss = self.elementwise(pred, target)
        reduction = reduction_override or self.reduction
        if weight is not None:
            weight = per_row(weight, loss)
            if weight.shape != loss.shape and reduction != "none":
                # Reduce rows first: weighing every element would need another tensor of the size of the loss.
                loss = (loss.mean if reduction == "mean" and avg_factor is None else loss.sum)(1, keepdim=True)
        return self.loss_weight * weight_reduce_loss(loss, weight, reduction, avg_factor)


def one_hot(classes: Tensor, num_classes: int) -> Tensor:
    """`(R, K)` int64 with a 1 at each class `(R,)`; a row of zeros for background K."""
    return F.one_hot(classes, num_classes + 1)[:, :num_classes]
