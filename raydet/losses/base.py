"""The one weighting function of losses, and what every loss shares."""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

REDUCTIONS = ("none", "mean", "sum")
Factor = float | Tensor | None


def weight_reduce_loss(
    loss: Tensor, weight: Tensor | None = None, reduction: str = "mean", avg_factor: Factor = None
) -> Tensor:
    """Weigh a loss element by element and reduce it.

    Args:
        loss: any shape.
        weight: broadcasts to `loss`.
        reduction: `none`, `mean` or `sum`; the mean of nothing is 0.
        avg_factor: divides the sum when the mean is wanted.

    Raises:
        ValueError: unknown reduction, or `avg_factor` with `sum`.
    """
    check_reduction(reduction)
    if weight is not None:
        loss = loss * weight
    if avg_factor is not None and reduction == "sum":
        raise ValueError("avg_factor has no meaning with reduction='sum'; use 'mean' or leave it out")
    if reduction == "none":
        return loss
    if reduction == "sum" or loss.numel() == 0:
        return loss.sum()
    if avg_factor is None:
        return loss.mean()
    # An empty batch may divide by 0.
    return loss.sum() / (avg_factor + torch.finfo(torch.float32).eps)


def need_sigmoid(loss: nn.Module, use_sigmoid: bool) -> bool:
    """`use_sigmoid`, which must be true for a loss of independent classes.

    Raises:
        NotImplementedError: it is not.
    """
    if not use_sigmoid:
        raise NotImplementedError(f"{type(loss).__name__} is a sigmoid loss; set use_sigmoid=True")
    return use_sigmoid


def weighted_loss(loss_func: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Give an elementwise `loss_func(pred, target, **kwargs)` the arguments `weight`, `reduction` and `avg_factor`."""

    @functools.wraps(loss_func)
    def wrapper(
        pred: Tensor,
        target: Tensor,
        weight: Tensor | None = None,
        reduction: str = "mean",
        avg_factor: Factor = None,
        **kwargs: Any,
    ) -> Tensor:
        return weight_reduce_loss(loss_func(pred, target, **kwargs), weight, reduction, avg_factor)

    return wrapper


class Loss(nn.Module):
    """A loss that is computed element by element, weighed and reduced.

    Args:
        reduction: `none`, `mean` or `sum`.
        loss_weight: factor on the result.

    Raises:
        ValueError: unknown reduction.
    """

    def __init__(self, reduction: str = "mean", loss_weight: float = 1.0) -> None:
        super().__init__()
        check_reduction(reduction)
        self.reduction = reduction
        self.loss_weight = loss_weight

    @abstractmethod
    def elementwise(self, pred: Tensor, target: Any, **kwargs: Any) -> Tensor:
        """The loss before weights and reduction."""

    def fit_weight(self, weight: Tensor, loss: Tensor) -> Tensor:
        """`weight` in a shape that broadcasts to `loss`."""
        return weight

    def forward(
        self,
        pred: Tensor,
        target: Any,
        weight: Tensor | None = None,
        avg_factor: Factor = None,
        reduction_override: str | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """Compute the loss.

        Args:
            pred: prediction.
            target: what it should be.
            weight: of each element.
            avg_factor: divides the sum when the mean is wanted.
            reduction_override: instead of the reduction given to the constructor.
            kwargs: see the subclass.
        """
        loss = self.elementwise(pred, target, **kwargs)
        if weight is not None:
            weight = self.fit_weight(weight, loss)
        return self.loss_weight * weight_reduce_loss(loss, weight, reduction_override or self.reduction, avg_factor)

    def extra_repr(self) -> str:
        options = {k: v for k, v in vars(self).items() if k != "training" and not k.startswith("_")}
        return ", ".join(f"{key}={value}" for key, value in options.items())


def check_reduction(reduction: str) -> None:
    """Raise ValueError unless `reduction` is known."""
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction must be one of {REDUCTIONS}, got {reduction!r}")


def same_shape(pred: Tensor, target: Tensor) -> None:
    """Raise ValueError unless both shapes are equal, since broadcasting would hide a mistake."""
    if pred.shape != target.shape:
        raise ValueError(f"shapes of prediction and target differ: {tuple(pred.shape)} and {tuple(target.shape)}")


def per_row(weight: Tensor, loss: Tensor) -> Tensor:
    """Weights `(R,)` of rows, or of as many elements as `loss` has, for a loss `(R, ...)`.

    Raises:
        ValueError: they are neither.
    """
    if weight.shape == loss.shape:
        return weight
    if weight.shape == loss.shape[:1]:
        return weight.view(-1, *[1] * (loss.ndim - 1))
    if weight.numel() == loss.numel():
        return weight.view(loss.shape)
    raise ValueError(f"weights of shape {tuple(weight.shape)} do not fit a loss of shape {tuple(loss.shape)}")
