"""Averages over the processes of a run, which normalise losses alike on all of them."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor


def mean_over_ranks(value: float | Tensor, like: Tensor) -> Tensor:
    """`value` averaged over all processes, without gradient; itself where there is one process.

    Args:
        value: number, or tensor whose elements are averaged each on its own.
        like: gives the device.
    """
    mean = torch.as_tensor(value, dtype=torch.float32, device=like.device).detach().clone()
    if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        dist.all_reduce(mean.div_(dist.get_world_size()))
    return mean
