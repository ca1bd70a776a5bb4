"""Losses and counts that go level by level."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from raydet.heads.dense.output import DenseOutput


def apply_loss(
    loss: Any, columns: tuple[Tensor, ...], avg_factor: float | Tensor, output: DenseOutput, rows: Tensor | None
) -> Tensor:
    """A loss of predictions, targets and weights that stand at the flat indices `rows` (None: at all).

    Losses that sort or bin, thus depend on what they see at once, say `per_level`: 2.x shows them one level at a time.
    """
    if not getattr(loss, "per_level", False):
        value: Tensor = loss(*columns, avg_factor=avg_factor)
        return value
    levels = output.levels(rows)
    members = [(levels == level).nonzero().squeeze(1) for level in range(len(output.layout.sizes))]
    parts = [loss(*(column[own] for column in columns), avg_factor=avg_factor) for own in members]
    return torch.stack(parts).sum()


def per_level_counts(output: DenseOutput, inside: Tensor | None) -> list[int]:
    """How many of the priors `inside` an image, `(R,)` bool or None for all, each level has."""
    if inside is None:
        return output.layout.num_per_level
    return [int(level.sum()) for level in output.layout.split(inside, 0)]
