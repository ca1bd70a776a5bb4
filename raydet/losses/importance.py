"""Which positives count most in classification (PISA, arXiv:1904.04821): those that locate their object best."""

from __future__ import annotations

import torch
from torch import Tensor


def importance_weights(
    overlaps: Tensor, labels: Tensor, owners: Tensor, losses: Tensor, weights: Tensor, k: float = 2.0, bias: float = 0.0
) -> Tensor:
    """Weights of positives by their IoU hierarchical local rank, such that their weighted loss adds up to what it was.

    Args:
        overlaps: `(P,)` of the predicted boxes with their objects.
        labels: `(P,)` classes.
        owners: `(P,)` which object each is for, counted over the whole batch.
        losses: `(P,)` or `(P, K)` classification losses.
        weights: `(P,)` that the positives have so far.
        k: exponent of the weights.
        bias: weight of the least important positive before the exponent, in [0, 1].

    Returns:
        `(P,)`, without gradient.
    """
    if len(labels) == 0:
        return weights
    rank, most = hierarchical_local_rank(overlaps, labels, owners), labels.bincount().max()
    shares = weights * (most - rank) / most
    new = (bias + shares * (1 - bias)).pow(k)
    loss = losses.detach().reshape(len(losses), -1).sum(1)
    return new * ((loss * weights).sum() / (loss * new).sum())


def hierarchical_local_rank(overlaps: Tensor, labels: Tensor, owners: Tensor) -> Tensor:
    """`(P,)` rank from 0 within each class: first the best of every object, then the second best ones, and so on."""
    best_first = overlaps.argsort(descending=True, stable=True)
    local = rank_within(owners, best_first)
    return rank_within(labels, best_first[local[best_first].argsort(stable=True)])


def rank_within(groups: Tensor, order: Tensor) -> Tensor:
    """`(P,)` rank from 0 of each element in its group, when `order` `(P,)` lists all elements, first ones first."""
    together = order[groups[order].argsort(stable=True)]
    sizes = groups.bincount()
    starts = sizes.cumsum(0) - sizes
    places = torch.arange(len(order), device=order.device) - starts[groups[together]]
    return torch.empty_like(places).index_copy(0, together, places)
