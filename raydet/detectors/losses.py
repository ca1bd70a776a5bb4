"""From the dict of losses to the number to minimise and the numbers to log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def parse_losses(losses: Mapping[str, Any]) -> tuple[Tensor, dict[str, float]]:
    """The total of all entries with `loss` in their name, and every entry averaged over the ranks.

    Args:
        losses: name -> tensor, or list of tensors that are added.

    Raises:
        TypeError: an entry is neither.
        RuntimeError: ranks have different entries.
    """
    means = {name: _mean(name, value) for name, value in losses.items()}
    parts = [value for name, value in means.items() if "loss" in name]
    if not parts:
        raise ValueError(f"a model in training needs at least one entry with 'loss' in its name, got {sorted(means)}")
    means["loss"] = torch.stack(parts).sum() if len({part.device for part in parts}) == 1 else sum(parts, parts[0] * 0)
    return means["loss"], log_values(means)


def log_values(means: Mapping[str, Tensor]) -> dict[str, float]:
    """Scalars as Python numbers, averaged over the ranks when there are several; asks the device once."""
    if not means:
        return {}
    packed = torch.stack([value.detach().float().reshape(()) for value in means.values()])
    if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        check_same_names(list(means), packed.device)
        dist.all_reduce(packed)
        packed /= dist.get_world_size()
    return dict(zip(means, packed.tolist(), strict=True))


def check_same_names(names: list[str], device: torch.device) -> None:
    """Raise RuntimeError when this rank has other losses than another one, instead of waiting for it forever."""
    own = torch.tensor([len(names), _fingerprint(names)], dtype=torch.long, device=device)
    limits = torch.cat([own, -own])
    dist.all_reduce(limits, op=dist.ReduceOp.MAX)
    if bool((limits[:2] == -limits[2:]).all()):
        return
    everyone: list[list[str]] = [[] for _ in range(dist.get_world_size())]
    dist.all_gather_object(everyone, names)
    common = set.intersection(*map(set, everyone))
    differing = {rank: sorted(set(each) - common) for rank, each in enumerate(everyone) if set(each) - common}
    raise RuntimeError(f"ranks return different losses; beside {sorted(common)}, rank -> names: {differing}")


def _fingerprint(names: list[str]) -> int:
    """A number that differs, for all practical purposes, when the names or their order differ."""
    value = 0
    for byte in "\n".join(names).encode():
        value = (value * 257 + byte) % (2**61 - 1)
    return value


def _mean(name: str, value: Any) -> Tensor:
    if isinstance(value, Tensor):
        return value.mean()
    if isinstance(value, (list, tuple)) and value and all(isinstance(each, Tensor) for each in value):
        return torch.stack([each.mean() for each in value]).sum()
    raise TypeError(f"the loss {name!r} must be a tensor or a list of tensors, got {type(value).__name__}")
