"""Losses of boxes by their overlap with the target."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor

from raydet.geometry import bbox_overlaps, bbox_xyxy_to_cxcywh
from raydet.losses.base import Factor, Loss


class OverlapLoss(Loss):
    """A loss of boxes `(R, 4)` xyxy with one value per box; weights of coordinates `(R, 4)` are averaged.

    Args:
        eps: keeps divisions and logarithms finite.
        reduction: `none`, `mean` or `sum`.
        loss_weight: factor on the result.
    """

    def __init__(self, eps: float = 1e-6, reduction: str = "mean", loss_weight: float = 1.0) -> None:
        super().__init__(reduction, loss_weight)
        self.eps = eps

    def fit_weight(self, weight: Tensor, loss: Tensor) -> Tensor:
        return weight.mean(dim=-1) if weight.ndim > 1 else weight


class IoULoss(OverlapLoss):
    """Loss of the intersection over union (arXiv:1608.01471).

    Args:
        linear: old name of `mode='linear'`.
        eps: smallest overlap that counts.
        reduction: `none`, `mean` or `sum`.
        loss_weight: factor on the result.
        mode: `log`, `linear` or `square`.

    Raises:
        ValueError: unknown mode.
    """

    FORMULAS: ClassVar = {
        "log": lambda iou: -iou.log(),
        "linear": lambda iou: 1 - iou,
        "square": lambda iou: 1 - iou**2,
    }

    def __init__(
        self,
        linear: bool = False,
        eps: float = 1e-6,
        reduction: str = "mean",
        loss_weight: float = 1.0,
        mode: str = "log",
    ) -> None:
        super().__init__(eps, reduction, loss_weight)
        if mode not in self.FORMULAS:
            raise ValueError(f"mode must be one of {sorted(self.FORMULAS)}, got {mode!r}")
        self.mode = "linear" if linear else mode

    def elementwise(self, pred: Tensor, target: Tensor, **kwargs: Any) -> Tensor:
        iou = bbox_overlaps(pred, target, is_aligned=True).clamp(min=self.eps)
        loss: Tensor = self.FORMULAS[self.mode](iou)
        return loss


class GIoULoss(OverlapLoss):
    """Loss of the generalised intersection over union (arXiv:1902.09630), which also moves boxes far apart."""

    def elementwise(self, pred: Tensor, target: Tensor, **kwargs: Any) -> Tensor:
        return 1 - bbox_overlaps(pred, target, mode="giou", is_aligned=True, eps=self.eps)


class DIoULoss(OverlapLoss):
    """Loss of overlap and distance of the centers (arXiv:1911.08287)."""

    def elementwise(self, pred: Tensor, target: Tensor, **kwargs: Any) -> Tensor:
        iou, distance = _iou_and_distance(pred, target, self.eps)
        return 1 - (iou - distance)


class CIoULoss(OverlapLoss):
    """Loss of overlap, distance of the centers and aspect ratio (arXiv:2005.03572).

    As in 2.x the loss of a box that equals its target to the last bit is not a number; where no weight is positive,
    which boxes without a target have in common, the loss is 0 all the same.
    """

    def forward(
        self,
        pred: Tensor,
        target: Tensor,
        weight: Tensor | None = None,
        avg_factor: Factor = None,
        reduction_override: str | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """As any loss of boxes."""
        if weight is not None and (reduction_override or self.reduction) != "none" and not (weight > 0).any():
            return pred.sum() * 0
        return super().forward(pred, target, weight, avg_factor, reduction_override)

    def elementwise(self, pred: Tensor, target: Tensor, **kwargs: Any) -> Tensor:
        iou, distance = _iou_and_distance(pred, target, self.eps)
        difference = _angle(target, self.eps) - _angle(pred, self.eps)
        shape = 4 / math.pi**2 * difference**2
        with torch.no_grad():
            trade_off = (iou > 0.5) * shape / (1 - iou + shape)
        return 1 - (iou - (distance + trade_off * shape)).clamp(-1, 1)


class BoundedIoULoss(Loss):
    """Bound of the overlap that each coordinate alone allows (arXiv:1711.00164); four values per box.

    Args:
        beta: where squared turns into absolute error.
        eps: keeps divisions finite.
        reduction: `none`, `mean` or `sum`.
        loss_weight: factor on the result.
    """

    def __init__(self, beta: float = 0.2, eps: float = 1e-3, reduction: str = "mean", loss_weight: float = 1.0) -> None:
        super().__init__(reduction, loss_weight)
        self.beta = beta
        self.eps = eps

    def elementwise(self, pred: Tensor, target: Tensor, **kwargs: Any) -> Tensor:
        center, size = torch.split(bbox_xyxy_to_cxcywh(pred), 2, dim=-1)
        true_center, true_size = torch.split(bbox_xyxy_to_cxcywh(target.detach()), 2, dim=-1)
        gap = 2 * (true_center - center).abs()
        shift = 1 - ((true_size - gap) / (true_size + gap + self.eps)).clamp(min=0)
        growth = 1 - torch.min(true_size / (size + self.eps), size / (true_size + self.eps))
        bound = torch.cat([shift, growth], dim=-1)
        return torch.where(bound < self.beta, 0.5 * bound**2 / self.beta, bound - 0.5 * self.beta)


def _iou_and_distance(pred: Tensor, target: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Overlap, and squared distance of the centers over the squared diagonal of the box around both."""
    overlap = (torch.min(pred[:, 2:], target[:, 2:]) - torch.max(pred[:, :2], target[:, :2])).clamp(min=0).prod(dim=1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(dim=1) for boxes in (pred, target)]
    iou = overlap / (areas[0] + areas[1] - overlap + eps)
    hull = (torch.max(pred[:, 2:], target[:, 2:]) - torch.min(pred[:, :2], target[:, :2])).clamp(min=0)
    centers = (target[:, :2] + target[:, 2:]) - (pred[:, :2] + pred[:, 2:])
    return iou, centers.square().sum(dim=1) / 4 / (hull.square().sum(dim=1) + eps)


def _angle(boxes: Tensor, eps: float) -> Tensor:
    width, height = (boxes[:, 2:] - boxes[:, :2]).unbind(dim=1)
    return (width / (height + eps)).atan()
