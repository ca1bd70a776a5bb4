"""One operator at one size beside its peers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

Run = Callable[[], object]


@dataclass(frozen=True)
class Case:
    """What is timed together.

    Attributes:
        name: operator, pass and size, such as `nms forward 10k`.
        ours: runs ours once.
        peers: runs of peers that compute the same, by name (`torchvision`, `torch` for the plain version).
        goals: for a peer, how many times faster than it ours should be.
    """

    name: str
    ours: Run
    peers: Mapping[str, Run]
    goals: Mapping[str, float]


def gradient_run(function: Callable[..., Tensor], inputs: tuple[Tensor, ...], *rest: object) -> Run:
    """Forward and backward of `function(*inputs, *rest)` with gradients in all of `inputs`."""
    leaves = [value.detach().clone().requires_grad_() for value in inputs]
    seed = torch.rand_like(function(*leaves, *rest))

    def run() -> object:
        return torch.autograd.grad(function(*leaves, *rest), leaves, seed)

    return run
