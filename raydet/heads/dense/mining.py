"""Negatives that a head learns from because their loss is highest (OHEM, arXiv:1604.03540)."""

from __future__ import annotations

import torch
from torch import Tensor


def hardest_loss(loss: Tensor, positive: Tensor, wanted: Tensor) -> Tensor:
    """Sum of the losses of all positives and of the hardest negatives of each image.

    Args:
        loss: `(N, R)`.
        positive: `(N, R)` bool.
        wanted: `(N,)` negatives to learn from in each image.
    """
    hardest = loss.masked_fill(positive, 0).sort(dim=1, descending=True).values
    mined = torch.arange(loss.shape[1], device=loss.device) < wanted[:, None]
    return loss[positive].sum() + hardest[mined].sum()
