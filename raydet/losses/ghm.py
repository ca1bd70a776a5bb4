"""Losses that count examples by how rare their gradient is (arXiv:1811.05181)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raydet.losses.base import Factor, check_reduction, need_sigmoid, weight_reduce_loss
from raydet.losses.focal import one_hot


class _GradientDensity(nn.Module):
    """Histogram of gradient norms and the weights that even it out.

    Args:
        bins: of the histogram.
        last_edge: end of the last bin.
        momentum: how much of earlier histograms stays; 0 looks at the current one only.
        loss_weight: factor on the result.
        reduction: `none`, `mean` or `sum`.
    """

    per_level = True  # histograms are of one feature level at a time, as in 2.x
    edges: Tensor
    acc_sum: Tensor

    def __init__(self, bins: int, last_edge: float, momentum: float, loss_weight: float, reduction: str) -> None:
        super().__init__()
        check_reduction(reduction)
        self.bins = bins
        self.momentum = momentum
        self.loss_weight = loss_weight
        self.reduction = reduction
        edges = torch.arange(bins + 1).float() / bins
        edges[-1] = last_edge
        self.register_buffer("edges", edges)
        if momentum > 0:
            self.register_buffer("acc_sum", torch.zeros(bins))

    def balance(self, norm: Tensor, valid: Tensor, total: Tensor) -> Tensor:
        """Weights, in the shape of `norm`, that give every occupied bin the same sum; 0 where not `valid`."""
        place = torch.bucketize(norm.contiguous(), self.edges, right=True) - 1
        inside = valid & (place >= 0) & (place < self.bins)
        place = place.clamp(0, self.bins - 1)
        count = torch.zeros_like(self.edges[:-1]).index_add_(0, place.flatten(), inside.flatten().float())
        occupied = count > 0
        if self.momentum > 0:
            mixed = self.momentum * self.acc_sum + (1 - self.momentum) * count
            self.acc_sum = torch.where(occupied, mixed, self.acc_sum)
            count = self.acc_sum
        weight = torch.where(occupied, total / count, 0.0) / occupied.sum().clamp(min=1)
        return weight[place] * inside


class GHMC(_GradientDensity):
    """Sigmoid cross entropy, evened out.

    Args:
        bins: of the histogram of gradient norms.
        momentum: how much of earlier histograms stays.
        use_sigmoid: must be true; classes are independent.
        loss_weight: factor on the result.
        reduction: `none`, `mean` or `sum`.

    Raises:
        NotImplementedError: `use_sigmoid` is false.
    """

    def __init__(
        self,
        bins: int = 10,
        momentum: float = 0,
        use_sigmoid: bool = True,
        loss_weight: float = 1.0,
        reduction: str = "mean",
    ) -> None:
        super().__init__(bins, 1 + 1e-6, momentum, loss_weight, reduction)
        self.use_sigmoid = need_sigmoid(self, use_sigmoid)

    def forward(
        self,
        pred: Tensor,
        target: Tensor,
        label_weight: Tensor,
        reduction_override: str | None = None,
        **kwargs: object,
    ) -> Tensor:
        """Compute the loss.

        Args:
            pred: `(R, K)` logits.
            target: `(R,)` classes where K is background, or `(R, K)` one-hot.
            label_weight: `(R,)` or `(R, K)`; examples without weight do not count.
            reduction_override: instead of the reduction given to the constructor.
            kwargs: ignored, such as `avg_factor`.
        """
        if pred.ndim != target.ndim:
            target, label_weight = one_hot(target, pred.shape[1]), label_weight[:, None].expand_as(pred)
        target = target.float()
        valid = label_weight > 0
        total = valid.sum().clamp(min=1).float()
        weight = self.balance((pred.sigmoid().detach() - target).abs(), valid, total)
        loss = F.binary_cross_entropy_with_logits(pred, target, reduction="none")
        return self.loss_weight * _reduced(loss, weight, reduction_override or self.reduction, total)


class GHMR(_GradientDensity):
    """Smooth absolute error, evened out.

    Args:
        mu: where squared turns into absolute error.
        bins: of the histogram of gradient norms.
        momentum: how much of earlier histograms stays.
        loss_weight: factor on the result.
        reduction: `none`, `mean` or `sum`.
    """

    def __init__(
        self,
        mu: float = 0.02,
        bins: int = 10,
        momentum: float = 0,
        loss_weight: float = 1.0,
        reduction: str = "mean",
    ) -> None:
        super().__init__(bins, 1e3, momentum, loss_weight, reduction)
        self.mu = mu

    def forward(
        self,
        pred: Tensor,
        target: Tensor,
        label_weight: Tensor,
        avg_factor: Factor = None,
        reduction_override: str | None = None,
    ) -> Tensor:
        """Compute the loss.

        Args:
            pred: `(R, 4)`.
            target: `(R, 4)`.
            label_weight: `(R, 4)`; coordinates without weight do not count.
            avg_factor: ignored; accepted because other losses have it.
            reduction_override: instead of the reduction given to the constructor.
        """
        error = pred - target
        length = (error.square() + self.mu**2).sqrt()
        total = label_weight.float().sum().clamp(min=1)
        weight = self.balance((error / length).abs().detach(), label_weight > 0, total)
        return self.loss_weight * _reduced(length - self.mu, weight, reduction_override or self.reduction, total)


def _reduced(loss: Tensor, weight: Tensor, reduction: str, total: Tensor) -> Tensor:
    return weight_reduce_loss(loss, weight, reduction, total if reduction == "mean" else None)
