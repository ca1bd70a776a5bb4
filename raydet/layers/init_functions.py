"""Fill one layer's `weight` and `bias`: the functions behind the initialisers of a config."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.nn import init

Fill = Callable[[Tensor], Any]


def fill_layer(module: nn.Module, fill: Fill, bias: float = 0) -> None:
    """Apply `fill` to the weight of `module` and set its bias, as far as it has them."""
    weight, offset = getattr(module, "weight", None), getattr(module, "bias", None)
    if isinstance(weight, Tensor):
        fill(weight)
    if isinstance(offset, Tensor):
        init.constant_(offset, bias)


def xavier_fill(gain: float = 1, distribution: str = "normal") -> Fill:
    """Xavier (Glorot) draw, "uniform" or "normal"."""
    draw = init.xavier_uniform_ if _is_uniform(distribution) else init.xavier_normal_
    return lambda weight: draw(weight, gain=gain)


def kaiming_fill(a: float = 0, mode: str = "fan_out", nonlinearity: str = "relu", distribution: str = "normal") -> Fill:
    """Kaiming (He) draw, "uniform" or "normal" (arXiv:1502.01852)."""
    draw: Callable[..., Tensor] = init.kaiming_uniform_ if _is_uniform(distribution) else init.kaiming_normal_
    return lambda weight: draw(weight, a=a, mode=mode, nonlinearity=nonlinearity)


def _is_uniform(distribution: str) -> bool:
    if distribution not in ("uniform", "normal"):
        raise ValueError(f"distribution must be 'uniform' or 'normal', got {distribution!r}")
    return distribution == "uniform"


def constant_init(module: nn.Module, val: float, bias: float = 0) -> None:
    """Set the weight to `val`."""
    fill_layer(module, lambda weight: init.constant_(weight, val), bias)


def xavier_init(module: nn.Module, gain: float = 1, bias: float = 0, distribution: str = "normal") -> None:
    """Draw the weight as Glorot and Bengio do."""
    fill_layer(module, xavier_fill(gain, distribution), bias)


def normal_init(module: nn.Module, mean: float = 0, std: float = 1, bias: float = 0) -> None:
    """Draw the weight from a normal distribution."""
    fill_layer(module, lambda weight: init.normal_(weight, mean, std), bias)


def trunc_normal_init(
    module: nn.Module, mean: float = 0, std: float = 1, a: float = -2, b: float = 2, bias: float = 0
) -> None:
    """Draw the weight from a normal distribution cut to `[a, b]`."""
    fill_layer(module, lambda weight: init.trunc_normal_(weight, mean, std, a, b), bias)


def uniform_init(module: nn.Module, a: float = 0, b: float = 1, bias: float = 0) -> None:
    """Draw the weight uniformly from `[a, b)`."""
    fill_layer(module, lambda weight: init.uniform_(weight, a, b), bias)


def kaiming_init(
    module: nn.Module,
    a: float = 0,
    mode: str = "fan_out",
    nonlinearity: str = "relu",
    bias: float = 0,
    distribution: str = "normal",
) -> None:
    """Draw the weight as He and others do."""
    fill_layer(module, kaiming_fill(a, mode, nonlinearity, distribution), bias)


def caffe2_xavier_init(module: nn.Module, bias: float = 0) -> None:
    """Draw the weight as Caffe2's XavierFill does: uniform, scaled by the number of inputs alone."""
    kaiming_init(module, a=1, mode="fan_in", nonlinearity="leaky_relu", bias=bias, distribution="uniform")


def bias_init_with_prob(prior_prob: float) -> float:
    """The bias that makes a sigmoid start at `prior_prob` (arXiv:1708.02002)."""
    return -math.log((1 - prior_prob) / prior_prob)
