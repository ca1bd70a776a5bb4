"""Associative embedding of corner pairs (arXiv:1611.05424)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

Corner = Sequence[int]


class AssociativeEmbeddingLoss(nn.Module):
    """Pulls the embeddings of the two corners of an object together, and those of different objects apart.

    Args:
        pull_weight: factor on the first.
        push_weight: factor on the second.
    """

    def __init__(self, pull_weight: float = 0.25, push_weight: float = 0.25) -> None:
        super().__init__()
        self.pull_weight = pull_weight
        self.push_weight = push_weight

    def forward(
        self, pred: Tensor, target: Tensor, match: Sequence[Sequence[tuple[Corner, Corner]]]
    ) -> tuple[Tensor, Tensor]:
        """Compute both losses, summed over images.

        Args:
            pred: `(N, 1, H, W)` embeddings of top left corners.
            target: `(N, 1, H, W)` embeddings of bottom right corners.
            match: per image and object, both corners as (y, x) on the map.

        Returns:
            Pull and push.
        """
        losses = [_pull_push(p, t, m) for p, t, m in zip(pred, target, match, strict=True)]
        pull, push = (torch.stack(parts).sum() for parts in zip(*losses, strict=True))
        return pull * self.pull_weight, push * self.push_weight


def _pull_push(top_left: Tensor, bottom_right: Tensor, match: Sequence[tuple[Corner, Corner]]) -> tuple[Tensor, Tensor]:
    if len(match) == 0:
        nothing = (top_left.sum() + bottom_right.sum()) * 0
        return nothing, nothing
    corners = torch.as_tensor(match, device=top_left.device)
    first = top_left[0, corners[:, 0, 0], corners[:, 0, 1]]
    second = bottom_right[0, corners[:, 1, 0], corners[:, 1, 1]]
    middle = (first + second) / 2
    count = len(match)
    pull = ((first - middle).square() + (second - middle).square()).sum() / count
    gaps = (1 - (middle[:, None] - middle).abs()).clamp(min=0)
    # The diagonal compares objects with themselves.
    push = (gaps.sum() - gaps.diagonal().sum()) / max(count * (count - 1), 1)
    return pull, push
