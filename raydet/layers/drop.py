"""Dropout of values and of residual branches."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def drop_path(x: Tensor, drop_prob: float = 0.0, training: bool = False) -> Tensor:
    """Zero whole samples of `x` with probability `drop_prob` and scale the others up to keep the mean."""
    if drop_prob == 0.0 or not training:
        return x
    keep = 1 - drop_prob
    draw = torch.rand((x.shape[0],) + (1,) * (x.dim() - 1), dtype=x.dtype, device=x.device)
    return x / keep * (draw + keep).floor()


class DropPath(nn.Module):
    """Stochastic depth (arXiv:1603.09382): drop the residual branch of a sample with probability `drop_prob`."""

    def __init__(self, drop_prob: float = 0.1) -> None:
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, x: Tensor) -> Tensor:
        return drop_path(x, self.drop_prob, self.training)


class Dropout(nn.Dropout):
    """`nn.Dropout` whose probability is called `drop_prob`."""

    def __init__(self, drop_prob: float = 0.5, inplace: bool = False) -> None:
        super().__init__(p=drop_prob, inplace=inplace)


def rising_rates(last: float, depths: Sequence[int]) -> list[list[float]]:
    """Drop probabilities that rise evenly from 0 to `last`, for each block of each stage.

    Args:
        last: of the last block.
        depths: numbers of blocks.
    """
    rates = iter(torch.linspace(0, last, sum(depths)).tolist())
    return [[next(rates) for _ in range(depth)] for depth in depths]
