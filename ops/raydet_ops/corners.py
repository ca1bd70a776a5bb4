"""Corner pooling (arXiv:1808.01244): from every cell, the largest value on the way to one edge of the map."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from raydet_ops._arrays import widened
from raydet_ops._checks import check_floating, check_shape, check_tensors
from raydet_ops._operator import define, differentiate

MODES = {"bottom": (True, False), "left": (False, True), "right": (False, False), "top": (True, True)}
"""Whether the maximum runs along columns, and whether it runs towards smaller indices."""


def _plain(x: Tensor, down: bool, reverse: bool) -> Tensor:
    dim = 2 if down else 3
    best = (x.flip(dim) if reverse else x).cummax(dim).values
    return best.flip(dim) if reverse else best


def _plain_backward(grad: Tensor, x: Tensor, maximum: Tensor, down: bool, reverse: bool) -> Tensor:
    dim = 2 if down else 3
    values, slopes = (x.flip(dim), grad.flip(dim)) if reverse else (x, grad)
    result = torch.zeros_like(values).scatter_add_(dim, values.cummax(dim).indices, slopes)
    return (result.flip(dim) if reverse else result).contiguous()


def _like(x: Tensor) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


_pool = define(
    "corner_pool(Tensor x, bool down, bool reverse) -> Tensor",
    plain=_plain,
    fake=lambda x, down, reverse: _like(x),
)
_pool_backward = define(
    "corner_pool_backward(Tensor grad, Tensor x, Tensor maximum, bool down, bool reverse) -> Tensor",
    plain=_plain_backward,
    fake=lambda grad, x, maximum, down, reverse: _like(x),
)


def _gradient(tensors: dict[str, Tensor], numbers: dict[str, Any], grad: Tensor) -> tuple[Tensor | None, ...]:
    return _pool_backward(grad, tensors["x"], tensors["output"], **numbers), None, None


differentiate(_pool, _gradient, saves=("x",), saves_output=True)


def corner_pool(x: Tensor, mode: str) -> Tensor:
    """The running maximum towards one edge of the map.

    Args:
        x: `(N, C, H, W)`.
        mode: `top` (each cell sees those below it), `bottom` (those above), `left` (those to its right) or `right`.

    Returns:
        `(N, C, H, W)`, of the dtype of `x`. Its gradient goes to the cell of the maximum, of equal ones to the last
        on the way.

    Raises:
        ValueError: unknown mode, or `x` is no batch of maps.
        TypeError: `x` is not floating.
    """
    if mode not in MODES:
        raise ValueError(f"mode must be one of {sorted(MODES)}, got {mode!r}")
    check_tensors(x=x)
    check_floating(x=x)
    check_shape("x", x, "N", "C", "H", "W")
    out: Tensor = _pool(widened(x), *MODES[mode])
    return out.to(x.dtype)


class CornerPool(nn.Module):
    """`corner_pool` in one direction.

    Args:
        mode: `top`, `bottom`, `left` or `right`.

    Raises:
        ValueError: unknown mode.
    """

    def __init__(self, mode: str) -> None:
        super().__init__()
        if mode not in MODES:
            raise ValueError(f"mode must be one of {sorted(MODES)}, got {mode!r}")
        self.mode = mode

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C, H, W)` to the same shape."""
        return corner_pool(x, self.mode)
