"""Trade time for memory."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.utils.checkpoint import checkpoint


def recompute(function: Callable[[Tensor], Tensor], x: Tensor, with_cp: bool) -> Tensor:
    """`function(x)`; with `with_cp` nothing inside is kept for the backward pass, which computes it again."""
    if not (with_cp and x.requires_grad):
        return function(x)
    out: Tensor = checkpoint(function, x, use_reentrant=False)
    return out
