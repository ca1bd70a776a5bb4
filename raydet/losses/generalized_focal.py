"""Generalised focal loss (arXiv:2006.04388): of quality, and of the distribution of box sides."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from raydet.losses.base import Loss, need_sigmoid


class QualityFocalLoss(Loss):
    """Focal loss whose positive target is the quality of the box, a number in [0, 1].

    Args:
        use_sigmoid: must be true; classes are independent.
        beta: how much predictions near their target count less.
        reduction: `none`, `mean` or `sum`.
        loss_weight: factor on the result.
        activated: predictions are probabilities already.

    Raises:
        NotImplementedError: `use_sigmoid` is false.
    """

    def __init__(
        self,
        use_sigmoid: bool = True,
        beta: float = 2.0,
        reduction: str = "mean",
        loss_weight: float = 1.0,
        activated: bool = False,
    ) -> None:
        super().__init__(reduction, loss_weight)
        self.use_sigmoid = need_sigmoid(self, use_sigmoid)
        self.beta = beta
        self.activated = activated

    def elementwise(self, pred: Tensor, target: tuple[Tensor, Tensor], **kwargs: Any) -> Tensor:
        """Loss `(R,)` of predictions `(R, K)` and a pair of classes and qualities, both `(R,)`."""
        label, score = target
        entropy = F.binary_cross_entropy if self.activated else F.binary_cross_entropy_with_logits
        probability = pred if self.activated else pred.sigmoid()
        loss = entropy(pred, pred.new_zeros(()).expand_as(pred), reduction="none") * probability.pow(self.beta)
        rows = ((label >= 0) & (label < pred.shape[1])).nonzero().squeeze(1)
        columns = label[rows]
        miss = (score[rows] - probability[rows, columns]).abs()
        positive = entropy(pred[rows, columns], score[rows], reduction="none") * miss.pow(self.beta)
        return loss.index_put((rows, columns), positive).sum(dim=1)


class DistributionFocalLoss(Loss):
    """Cross entropy with the two whole numbers around the target.

    Args:
        reduction: `none`, `mean` or `sum`.
        loss_weight: factor on the result.
    """

    def elementwise(self, pred: Tensor, target: Tensor, **kwargs: Any) -> Tensor:
        """Loss `(R,)` of logits `(R, bins)` and targets `(R,)` in `[0, bins - 1)`."""
        left = target.long()
        above = target - left
        log_probability = pred.log_softmax(dim=1)
        near = F.nll_loss(log_probability, left, reduction="none")
        return near * (1 - above) + F.nll_loss(log_probability, left + 1, reduction="none") * above
