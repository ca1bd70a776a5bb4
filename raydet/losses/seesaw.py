"""Seesaw loss for long-tailed classes (arXiv:2008.10032)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raydet.losses.accuracy import accuracy
from raydet.losses.base import Factor, check_reduction, weight_reduce_loss


class SeesawLoss(nn.Module):
    """Softmax cross entropy that spares rare classes, beside one of object against background.

    Predictions have `K + 2` columns: the classes, object, background.

    Args:
        use_sigmoid: must be false.
        p: how much frequent classes spare rarer ones.
        q: how much classes that are mistaken for the right one are punished.
        num_classes: K.
        eps: smallest score of the right class.
        reduction: `none`, `mean` or `sum`.
        loss_weight: factor on the result.
        return_dict: return both losses, otherwise their sum.

    Raises:
        ValueError: `use_sigmoid` is true, or an unknown reduction.
    """

    cum_samples: Tensor

    def __init__(
        self,
        use_sigmoid: bool = False,
        p: float = 0.8,
        q: float = 2.0,
        num_classes: int = 1203,
        eps: float = 1e-2,
        reduction: str = "mean",
        loss_weight: float = 1.0,
        return_dict: bool = True,
    ) -> None:
        super().__init__()
        if use_sigmoid:
            raise ValueError("SeesawLoss is a softmax loss; set use_sigmoid=False")
        check_reduction(reduction)
        self.use_sigmoid = use_sigmoid
        self.p = p
        self.q = q
        self.num_classes = num_classes
        self.eps = eps
        self.reduction = reduction
        self.loss_weight = loss_weight
        self.return_dict = return_dict
        self.register_buffer("cum_samples", torch.zeros(num_classes + 1))
        # What box heads ask of a loss with its own columns.
        self.custom_cls_channels = self.custom_activation = self.custom_accuracy = True

    def get_cls_channels(self, num_classes: int) -> int:
        """Columns of the prediction for `num_classes` classes."""
        if num_classes != self.num_classes:
            raise ValueError(f"the loss is made for {self.num_classes} classes, the head has {num_classes}")
        return num_classes + 2

    def get_activation(self, cls_score: Tensor) -> Tensor:
        """Scores `(..., K + 1)` of classes and background from predictions `(..., K + 2)`."""
        classes, objectness = (part.softmax(dim=-1) for part in self._split(cls_score))
        return torch.cat([classes * objectness[..., :1], objectness[..., 1:]], dim=-1)

    def get_accuracy(self, cls_score: Tensor, labels: Tensor) -> dict[str, Any]:
        """Percentages right: `acc_objectness`, and `acc_classes` among the objects."""
        classes, objectness = self._split(cls_score)
        is_object = labels < self.num_classes
        return {
            "acc_objectness": accuracy(objectness, (~is_object).long()),
            "acc_classes": accuracy(classes[is_object], labels[is_object]),
        }

    def forward(
        self,
        cls_score: Tensor,
        labels: Tensor,
        label_weights: Tensor | None = None,
        avg_factor: Factor = None,
        reduction_override: str | None = None,
    ) -> Tensor | dict[str, Tensor]:
        """Compute the loss, and count the classes seen.

        Args:
            cls_score: `(R, K + 2)`.
            labels: `(R,)` classes where K is background.
            label_weights: `(R,)`.
            avg_factor: divides the sums when the mean is wanted.
            reduction_override: instead of the reduction given to the constructor.

        Returns:
            `loss_cls_objectness` and `loss_cls_classes`, or their sum.
        """
        reduction = reduction_override or self.reduction
        weights = labels.new_ones(labels.shape, dtype=torch.float32) if label_weights is None else label_weights.float()
        self.cum_samples += torch.bincount(labels, minlength=self.num_classes + 1).to(self.cum_samples)
        classes, objectness = self._split(cls_score)
        is_object = labels < self.num_classes
        background = F.cross_entropy(objectness, (~is_object).long(), reduction="none")
        loss_objectness = self.loss_weight * weight_reduce_loss(background, weights, reduction, avg_factor)
        # Nothing but background: the same sum over nothing as without this loss.
        entropy = self._entropy(classes[is_object], labels[is_object])
        loss_classes = self.loss_weight * weight_reduce_loss(entropy, weights[is_object], reduction, avg_factor)
        if self.return_dict:
            return {"loss_cls_objectness": loss_objectness, "loss_cls_classes": loss_classes}
        return loss_objectness + loss_classes

    def _split(self, cls_score: Tensor) -> tuple[Tensor, Tensor]:
        if cls_score.shape[-1] != self.num_classes + 2:
            raise ValueError(
                f"expected {self.num_classes} + 2 columns (classes, object, background), got {cls_score.shape[-1]}"
            )
        return cls_score[..., :-2], cls_score[..., -2:]

    def _entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross entropy `(P,)` with the logits of other classes shifted by the logarithm of their weight."""
        shift = torch.zeros_like(logits)
        if self.p > 0:
            seen = self.cum_samples[: self.num_classes].clamp(min=1)
            shift = shift + self.p * (seen / seen[labels, None]).clamp(max=1).log()
        if self.q > 0:
            scores = logits.detach().softmax(dim=1)
            own = scores.gather(1, labels[:, None]).clamp(min=self.eps)
            shift = shift + self.q * (scores / own).clamp(min=1).log()
        shift = shift.scatter(1, labels[:, None], 0.0)
        return F.cross_entropy(logits + shift, labels, reduction="none")
