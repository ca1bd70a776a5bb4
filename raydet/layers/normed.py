"""Predictors that compare directions: features and weights are divided by their length (arXiv:2008.10032)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raydet.layers.init_functions import normal_init


def _shortened(x: Tensor, lengths: Tensor, power: float, eps: float) -> Tensor:
    return x / (lengths.pow(power) + eps)


class NormedLinear(nn.Linear):
    """Linear layer of normalised features and weights.

    Args:
        in_features: input channels.
        out_features: output channels.
        bias: whether there is a bias.
        tempearture: factor of the features, spelt as in 2.x.
        power: exponent of the lengths.
        eps: added to the lengths.
        kwargs: other arguments of `nn.Linear`.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        tempearture: float = 20,
        power: float = 1.0,
        eps: float = 1e-6,
        **kwargs: Any,
    ) -> None:
        super().__init__(in_features, out_features, bias, **kwargs)
        self.tempearture = tempearture
        self.power = power
        self.eps = eps
        self.init_weights()

    def init_weights(self) -> None:
        """A narrow normal draw."""
        normal_init(self, std=0.01)

    def forward(self, input: Tensor) -> Tensor:
        weight = _shortened(self.weight, self.weight.norm(dim=1, keepdim=True), self.power, self.eps)
        x = _shortened(input, input.norm(dim=1, keepdim=True), self.power, self.eps)
        return F.linear(x * self.tempearture, weight, self.bias)


class NormedConv2d(nn.Conv2d):
    """Convolution of normalised features and weights.

    Args:
        in_channels: input channels.
        out_channels: output channels.
        kernel_size: size of the kernel.
        tempearture: factor of the features, spelt as in 2.x.
        power: exponent of the lengths.
        eps: added to the lengths.
        norm_over_kernel: take the length of a weight over its whole kernel instead of at each tap.
        kwargs: other arguments of `nn.Conv2d`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        tempearture: float = 20,
        power: float = 1.0,
        eps: float = 1e-6,
        norm_over_kernel: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, **kwargs)
        self.tempearture = tempearture
        self.power = power
        self.eps = eps
        self.norm_over_kernel = norm_over_kernel

    def forward(self, input: Tensor) -> Tensor:
        axes = (1, 2, 3) if self.norm_over_kernel else (1,)
        lengths = torch.linalg.vector_norm(self.weight, dim=axes, keepdim=True)
        weight = _shortened(self.weight, lengths, self.power, self.eps)
        x = _shortened(input, input.norm(dim=1, keepdim=True), self.power, self.eps)
        out: Tensor = self._conv_forward(x * self.tempearture, weight, self.bias)
        return out
