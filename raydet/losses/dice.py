"""Dice loss of masks (arXiv:1606.04797)."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from raydet.losses.base import Loss


class DiceLoss(Loss):
    """One minus the overlap of soft masks, relative to their size.

    Args:
        use_sigmoid: how to activate; must be true if `activate` is.
        activate: predictions are logits.
        reduction: `none`, `mean` or `sum`.
        naive_dice: size is the sum of values, otherwise that of their squares.
        loss_weight: factor on the result.
        eps: keeps divisions finite.

    Raises:
        NotImplementedError: activation without sigmoid.
    """

    def __init__(
        self,
        use_sigmoid: bool = True,
        activate: bool = True,
        reduction: str = "mean",
        naive_dice: bool = False,
        loss_weight: float = 1.0,
        eps: float = 1e-3,
    ) -> None:
        super().__init__(reduction, loss_weight)
        if activate and not use_sigmoid:
            raise NotImplementedError("DiceLoss activates by sigmoid only; set use_sigmoid=True or activate=False")
        self.use_sigmoid = use_sigmoid
        self.activate = activate
        self.naive_dice = naive_dice
        self.eps = eps

    def elementwise(self, pred: Tensor, target: Tensor, **kwargs: Any) -> Tensor:
        """Loss `(R,)` of masks `(R, ...)`."""
        mask = (pred.sigmoid() if self.activate else pred).flatten(1)
        truth = target.flatten(1).float()
        overlap = 2 * (mask * truth).sum(dim=1)
        if self.naive_dice:
            return 1 - (overlap + self.eps) / (mask.sum(dim=1) + truth.sum(dim=1) + self.eps)
        return 1 - overlap / (mask.square().sum(dim=1) + truth.square().sum(dim=1) + 2 * self.eps)

    def forward(  # type: ignore[override]  # the order of 2.x
        self,
        pred: Tensor,
        target: Tensor,
        weight: Tensor | None = None,
        reduction_override: Any = None,
        avg_factor: Any = None,
        **kwargs: Any,
    ) -> Tensor:
        """As any loss, but `reduction_override` comes before `avg_factor`, as in 2.x."""
        return super().forward(pred, target, weight, avg_factor, reduction_override)
