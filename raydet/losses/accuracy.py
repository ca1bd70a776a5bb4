"""How many classes are predicted right."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


def accuracy(pred: Tensor, target: Tensor, topk: int | tuple[int, ...] = 1, thresh: float | None = None) -> Any:
    """Percentage of rows whose class is among the best scores.

    Args:
        pred: `(R, K)` scores.
        target: `(R,)` classes.
        topk: among how many; a tuple gives one answer for each.
        thresh: scores must also be greater than this.

    Returns:
        `(1,)` in [0, 100]; a list of them for a tuple; 0 when there are no rows.

    Raises:
        ValueError: shapes do not fit, or fewer classes than asked for.
    """
    ranks = (topk,) if isinstance(topk, int) else topk
    if len(pred) == 0:
        results = [pred.new_zeros(()) for _ in ranks]
        return results[0] if isinstance(topk, int) else results
    if pred.ndim != 2 or target.shape != pred.shape[:1]:
        raise ValueError(f"expected (R, K) scores and (R,) classes, got {tuple(pred.shape)} and {tuple(target.shape)}")
    if max(ranks) > pred.shape[1]:
        raise ValueError(f"topk={topk} exceeds the {pred.shape[1]} classes")
    values, classes = pred.topk(max(ranks), dim=1)
    right = classes == target[:, None]
    if thresh is not None:
        right &= values > thresh
    results = [right[:, :k].float().sum().view(1) * (100.0 / len(pred)) for k in ranks]
    return results[0] if isinstance(topk, int) else results


class Accuracy(nn.Module):
    """`accuracy` as a module.

    Args:
        topk: among how many; a tuple gives one answer for each.
        thresh: scores must also be greater than this.
    """

    def __init__(self, topk: int | tuple[int, ...] = (1,), thresh: float | None = None) -> None:
        super().__init__()
        self.topk = topk
        self.thresh = thresh

    def forward(self, pred: Tensor, target: Tensor) -> Any:
        return accuracy(pred, target, self.topk, self.thresh)
