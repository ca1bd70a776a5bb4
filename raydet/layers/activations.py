"""Activations that torch does not have under these definitions."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class Clamp(nn.Module):
    """Cut values to `[min, max]`."""

    def __init__(self, min: float = -1.0, max: float = 1.0) -> None:
        super().__init__()
        self.min = min
        self.max = max

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(self.min, self.max)


class HSigmoid(nn.Module):
    """`(x + bias) / divisor`, cut to `[min_value, max_value]` (arXiv:1905.02244)."""

    def __init__(self, bias: float = 3.0, divisor: float = 6.0, min_value: float = 0.0, max_value: float = 1.0) -> None:
        super().__init__()
        if divisor == 0:
            raise ValueError("divisor of HSigmoid must not be 0")
        self.bias = bias
        self.divisor = divisor
        self.min_value = min_value
        self.max_value = max_value

    def forward(self, x: Tensor) -> Tensor:
        return ((x + self.bias) / self.divisor).clamp(self.min_value, self.max_value)


class Swish(nn.Module):
    """`x * sigmoid(x)` (arXiv:1710.05941)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(x)
