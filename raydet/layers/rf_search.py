"""Convolutions that look for their receptive field: RF-Next (arXiv:2206.06637)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

Rates = tuple[int, int]


def expand_rates(dilation: Rates, config: Mapping[str, Any]) -> list[Rates]:
    """Dilations to try in the place of one: a smaller, with three branches the same, and a larger one.

    Args:
        dilation: of the two axes.
        config: `exp_rate` (how far away, as a share of the dilation), `num_branches` (2 or 3), `mmin` and `mmax`.

    Returns:
        The dilations in rising order, each once.
    """
    step, middle = config["exp_rate"], [dilation] if config["num_branches"] % 2 else []
    smaller, larger = (_limited(((1 + sign * step) * rate for rate in dilation), config) for sign in (-1, 1))
    return list(dict.fromkeys([smaller, *middle, larger]))


def padding_for(kernel_size: int, stride: int, dilation: int) -> int:
    """Pixels on each side with which a map keeps its size, but for the stride."""
    return (stride - 1 + dilation * (kernel_size - 1)) // 2


def set_dilation(conv: nn.Conv2d, dilation: Rates) -> None:
    """Give a convolution a dilation, and the padding that goes with it."""
    conv.dilation = (dilation[0], dilation[1])
    conv.padding = _padding(conv, conv.dilation)


def is_searchable(module: nn.Module) -> bool:
    """Whether a module is a plain convolution with an odd kernel of more than one pixel along some axis."""
    return type(module) is nn.Conv2d and any(_grows(size) for size in module.kernel_size)


class Conv2dRFSearchOp(nn.Module):
    """A convolution applied with several dilations at once, each weighted by a number that is learned.

    Its keys are `branch_weights` and those of `op_layer`. Weights of the bare convolution load into it as well.

    Args:
        op_layer: the convolution; all branches share its weight and bias.
        global_config: `num_branches` (2 or 3), `exp_rate`, `mmin`, `mmax`, and `init_alphas`, what every branch weighs
            at first.
        verbose: accepted for 2.x configs; `RFSearchHook` logs the dilations.

    Attributes:
        dilation_rates: dilations of the branches.
    """

    def __init__(self, op_layer: nn.Conv2d, global_config: Mapping[str, Any], verbose: bool = True) -> None:
        super().__init__()
        if global_config["num_branches"] not in (2, 3):
            raise ValueError(f"num_branches must be 2 or 3, got {global_config['num_branches']!r}")
        self.op_layer = op_layer
        self.dilation_rates: list[Rates] = []
        self.global_config = global_config
        self.branch_weights = nn.Parameter(torch.empty(global_config["num_branches"], device=op_layer.weight.device))
        self.expand_rates()
        self.register_load_state_dict_pre_hook(_take_bare_weights)  # type: ignore[no-untyped-call]

    def forward(self, input: Tensor) -> Tensor:
        """The weighted sum of the branches."""
        weighted = zip(self._shares(), self.dilation_rates, strict=True)
        out: Tensor = reduce(torch.add, (share * self._branch(input, rates) for share, rates in weighted))
        return out

    def _branch(self, input: Tensor, rates: Rates) -> Tensor:
        conv = self.op_layer
        padding = _padding(conv, rates)
        return functional.conv2d(input, conv.weight, conv.bias, conv.stride, padding, rates, conv.groups)

    def estimate_rates(self) -> None:
        """Go back to one branch, with the mean of the dilations by their weights."""
        shares: list[float] = self._shares().tolist()
        total = sum(shares)
        means = [
            sum(share * rates[axis] for share, rates in zip(shares, self.dilation_rates, strict=True)) / total
            for axis in (0, 1)
        ]
        set_dilation(self.op_layer, _limited(means, self.global_config))
        self.dilation_rates = [_rates_of(self.op_layer)]

    def expand_rates(self) -> None:
        """Branch out from the dilation of the convolution, with equal weights."""
        current = _rates_of(self.op_layer)
        grows = [_grows(size) for size in self.op_layer.kernel_size]
        self.dilation_rates = [
            (rates[0] if grows[0] else current[0], rates[1] if grows[1] else current[1])
            for rates in expand_rates(current, self.global_config)
        ]
        nn.init.constant_(self.branch_weights, self.global_config["init_alphas"])

    def extra_repr(self) -> str:
        return f"dilation_rates={self.dilation_rates}"

    def _shares(self) -> Tensor:
        weights = self.branch_weights[: len(self.dilation_rates)].abs()
        return weights / weights.sum()


def _take_bare_weights(op: nn.Module, state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
    """Weights of a model that is not searched stand one level higher."""
    for name in ("weight", "bias"):
        if f"{prefix}{name}" in state_dict:
            state_dict.setdefault(f"{prefix}op_layer.{name}", state_dict.pop(f"{prefix}{name}"))


def _grows(kernel_size: int) -> bool:
    """Whether a dilation means something along an axis and keeps the map centred."""
    return kernel_size > 1 and kernel_size % 2 == 1


def _limited(rates: Any, config: Mapping[str, Any]) -> Rates:
    height, width = (min(max(round(rate), config["mmin"]), config["mmax"]) for rate in rates)
    return height, width


def _padding(conv: nn.Conv2d, dilation: Rates) -> Rates:
    height, width = (
        padding_for(size, stride, rate)
        for size, stride, rate in zip(conv.kernel_size, conv.stride, dilation, strict=True)
    )
    return height, width


def _rates_of(conv: nn.Conv2d) -> Rates:
    return conv.dilation[0], conv.dilation[1]
