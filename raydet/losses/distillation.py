"""Learning from another network's soft predictions (arXiv:1503.02531)."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from raydet.losses.base import Loss, same_shape


class KnowledgeDistillationKLDivLoss(Loss):
    """Kullback-Leibler divergence from softened predictions.

    Args:
        reduction: `none`, `mean` or `sum`.
        loss_weight: factor on the result.
        T: temperature; higher softens more.

    Raises:
        ValueError: the temperature is below 1.
    """

    def __init__(self, reduction: str = "mean", loss_weight: float = 1.0, T: float = 10) -> None:  # noqa: N803
        super().__init__(reduction, loss_weight)
        if T < 1:
            raise ValueError(f"the temperature T must be at least 1, got {T}")
        self.T = T

    def elementwise(self, pred: Tensor, target: Tensor, **kwargs: Any) -> Tensor:
        """Loss `(R,)` of logits `(R, K)` and the teacher's logits; the teacher gets no gradient."""
        same_shape(pred, target)
        teacher = (target / self.T).softmax(dim=1).detach()
        divergence = F.kl_div((pred / self.T).log_softmax(dim=1), teacher, reduction="none")
        return divergence.mean(dim=1) * self.T**2
