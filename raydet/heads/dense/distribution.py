"""Distances as distributions over whole numbers of strides (GFL, arXiv:2006.04388)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Integral(nn.Module):
    """The mean distances of distributions.

    Args:
        reg_max: the farthest distance, in strides.
    """

    project: Tensor

    def __init__(self, reg_max: int = 16) -> None:
        super().__init__()
        self.reg_max = reg_max
        self.register_buffer("project", torch.linspace(0, reg_max, reg_max + 1))

    def forward(self, logits: Tensor) -> Tensor:
        """`(..., 4 * (reg_max + 1))` logits to `(..., 4)` distances in strides."""
        bins = logits.reshape(*logits.shape[:-1], 4, self.reg_max + 1).softmax(-1)
        return (bins * self.project.to(bins)).sum(-1)
