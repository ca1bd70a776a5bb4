"""Cross entropy of classes: softmax, sigmoid, and sigmoid of the mask of the true class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raydet.losses.base import Factor, check_reduction, per_row, weight_reduce_loss


class CrossEntropyLoss(nn.Module):
    """Cross entropy.

    Args:
        use_sigmoid: classes are independent.
        use_mask: predictions are one mask per class, of which only that of the true class counts.
        reduction: `none`, `mean` or `sum`.
        class_weight: `K` weights; for sigmoid they weigh positives.
        ignore_index: label that counts nothing; -100 when left out.
        loss_weight: factor on the result.
        avg_non_ignore: leave ignored elements out of the mean.

    Raises:
        ValueError: both `use_sigmoid` and `use_mask`, or an unknown reduction.
    """

    def __init__(
        self,
        use_sigmoid: bool = False,
        use_mask: bool = False,
        reduction: str = "mean",
        class_weight: Sequence[float] | None = None,
        ignore_index: int | None = None,
        loss_weight: float = 1.0,
        avg_non_ignore: bool = False,
    ) -> None:
        super().__init__()
        if use_sigmoid and use_mask:
            raise ValueError("use_sigmoid and use_mask exclude each other; masks are sigmoid anyway")
        check_reduction(reduction)
        self.use_sigmoid = use_sigmoid
        self.use_mask = use_mask
        self.reduction = reduction
        self.class_weight = class_weight
        self.ignore_index = ignore_index
        self.loss_weight = loss_weight
        self.avg_non_ignore = avg_non_ignore

    def forward(
        self,
        cls_score: Tensor,
        label: Tensor,
        weight: Tensor | None = None,
        avg_factor: Factor = None,
        reduction_override: str | None = None,
        ignore_index: int | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """Compute the loss.

        Args:
            cls_score: `(R, K, ...)` logits; for `use_mask` `(P, K, h, w)`, or `(P, 1, h, w)` for all classes alike.
            label: `(R, ...)` classes; for `use_sigmoid` also 0 or 1 in the shape of `cls_score`; for `use_mask`
                masks `(P, h, w)`.
            weight: of each element or row; for `use_mask` the `(P,)` classes.
            avg_factor: divides the sum when the mean is wanted.
            reduction_override: instead of the reduction given to the constructor.
            ignore_index: instead of that given to the constructor.
            kwargs: none.
        """
        reduction = reduction_override or self.reduction
        class_weight = None if self.class_weight is None else cls_score.new_tensor(self.class_weight)
        if self.use_mask:
            assert weight is not None
            return self.loss_weight * mask_cross_entropy(cls_score, label, weight, class_weight)
        ignored = self.ignore_index if ignore_index is None else ignore_index
        entropy = binary_cross_entropy if self.use_sigmoid else cross_entropy
        return self.loss_weight * entropy(
            cls_score,
            label,
            weight,
            reduction,
            avg_factor,
            class_weight,
            -100 if ignored is None else ignored,
            self.avg_non_ignore,
        )

    def extra_repr(self) -> str:
        return (
            f"use_sigmoid={self.use_sigmoid}, use_mask={self.use_mask}, reduction={self.reduction}, "
            f"class_weight={self.class_weight}, ignore_index={self.ignore_index}, loss_weight={self.loss_weight}"
        )


def cross_entropy(
    pred: Tensor,
    label: Tensor,
    weight: Tensor | None = None,
    reduction: str = "mean",
    avg_factor: Factor = None,
    class_weight: Tensor | None = None,
    ignore_index: int = -100,
    avg_non_ignore: bool = False,
) -> Tensor:
    """Softmax cross entropy of logits `(R, K, ...)` and classes `(R, ...)`."""
    loss = F.cross_entropy(pred, label, class_weight, reduction="none", ignore_index=ignore_index)
    if avg_non_ignore and avg_factor is None and reduction == "mean":
        avg_factor = (label != ignore_index).sum()
    return weight_reduce_loss(loss, None if weight is None else weight.float(), reduction, avg_factor)


def binary_cross_entropy(
    pred: Tensor,
    label: Tensor,
    weight: Tensor | None = None,
    reduction: str = "mean",
    avg_factor: Factor = None,
    class_weight: Tensor | None = None,
    ignore_index: int = -100,
    avg_non_ignore: bool = False,
) -> Tensor:
    """Sigmoid cross entropy of logits `(R, K)` and classes `(R,)`, or 0 and 1 in the shape of the logits.

    Negative labels and `ignore_index` count nothing; a class from K on is background.
    """
    valid = ((label >= 0) & (label != ignore_index)).to(pred.dtype)
    if pred.ndim != label.ndim:
        label = label[:, None] == torch.arange(pred.shape[1], device=pred.device)
        valid = valid[:, None]
    if avg_non_ignore and avg_factor is None and reduction == "mean":
        avg_factor = valid.expand_as(pred).sum()
    loss = F.binary_cross_entropy_with_logits(pred, label.to(pred.dtype), pos_weight=class_weight, reduction="none")
    weight = valid if weight is None else per_row(weight.float(), loss) * valid
    return weight_reduce_loss(loss, weight, reduction, avg_factor)


def mask_cross_entropy(pred: Tensor, target: Tensor, label: Tensor, class_weight: Tensor | None = None) -> Tensor:
    """Mean sigmoid cross entropy of the masks of the true classes.

    Args:
        pred: `(P, K, h, w)` logits.
        target: `(P, h, w)` in [0, 1].
        label: `(P,)` which of the K masks counts.
        class_weight: `(K,)`, or None.

    Returns:
        `(1,)`.
    """
    chosen = pred[torch.arange(len(pred), device=pred.device), label]
    weight = None if class_weight is None else class_weight[label].view(-1, *[1] * (chosen.ndim - 1))
    loss = F.binary_cross_entropy_with_logits(chosen, target, weight=weight, reduction="none")
    return weight_reduce_loss(loss)[None]
