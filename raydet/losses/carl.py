"""The classification-aware regression loss (PISA, arXiv:1904.04821)."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from raydet.geometry import of_class


def carl_loss(
    cls_score: Tensor,
    labels: Tensor,
    bbox_pred: Tensor,
    bbox_targets: Tensor,
    loss_bbox: Any,
    k: float = 1,
    bias: float = 0.2,
    avg_factor: float | Tensor | None = None,
    sigmoid: bool = False,
    num_class: int = 80,
) -> dict[str, Tensor]:
    """Regression of positives weighed by how probable their class is, so that both learn together.

    Weights are `(bias + (1 - bias) * probability)^k`, scaled so that they add up to the number of positives.

    Args:
        cls_score: `(R, K + 1)` logits, `(R, K)` with `sigmoid`.
        labels: `(R,)`; positives are those from 0 to below `num_class`.
        bbox_pred: `(R, 4)`, or `(R, 4 K)` with one box per class.
        bbox_targets: `(R, 4)`.
        loss_bbox: a loss with `reduction_override`.
        k: exponent of the weights.
        bias: weight of an impossible class before the exponent, in [0, 1].
        avg_factor: divides the sum; None means R.
        sigmoid: probabilities are independent.
        num_class: `K`.

    Returns:
        `loss_carl` `(1,)`.
    """
    positive = ((labels >= 0) & (labels < num_class)).nonzero().squeeze(1)
    if len(positive) == 0:
        return {"loss_carl": cls_score.sum()[None] * 0.0}
    classes = labels[positive]
    probabilities = cls_score.sigmoid() if sigmoid else cls_score.softmax(dim=-1)
    weights = (bias + (1 - bias) * probabilities[positive, classes]).pow(k)
    weights = weights * (len(positive) / weights.sum())
    predicted = of_class(bbox_pred[positive], classes)
    loss = loss_bbox(predicted, bbox_targets[positive], reduction_override="none")
    total = (loss * weights[:, None]).sum()
    return {"loss_carl": total[None] / (len(bbox_targets) if avg_factor is None else avg_factor)}
