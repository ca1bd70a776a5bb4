"""What every process of a run keeps for itself: random generators, and statistics of the batches that it alone saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from raydet.engine.parallel import unwrap
from raydet.engine.random import load_random_state, random_state

RankState = dict[str, Any]


def rank_state(model: nn.Module, world_size: int) -> RankState:
    """The state of this process, fit for a checkpoint; a sole process has its buffers in the state dict."""
    return {"random": random_state(), "buffers": _buffers(model) if world_size > 1 else {}}


def columns(states: Sequence[RankState] | None) -> dict[str, Any]:
    """States of all ranks as entries of a checkpoint; of buffers only what the state dict, that of rank 0, lacks."""
    if states is None:
        return {"random_states": None, "buffers": None}
    first = states[0]["buffers"]
    return {
        "random_states": [state["random"] for state in states],
        "buffers": [_differing(state["buffers"], first) for state in states],
    }


def load_rank_state(runner: Any, saved: Mapping[str, Any]) -> None:
    """Put back what `columns` gave for this rank."""
    states, buffers = saved.get("random_states"), saved.get("buffers")
    if states is None or len(states) != runner.world_size:
        runner.logger.warning(
            "the checkpoint holds no random states for this number of processes; random draws of the model start anew"
        )
        return
    load_random_state(states[runner.rank])
    if buffers is not None:
        _load_buffers(unwrap(runner.model), buffers[runner.rank])


def _buffers(model: nn.Module) -> dict[str, Tensor]:
    """Buffers and their moving averages, see `AveragedWeights`; averages of parameters are the same on all ranks."""
    found = dict(unwrap(model).named_buffers())
    own = [name for name in found if not name.startswith("ema_")]
    averages = [f"ema_{name.replace('.', '_')}" for name in own]
    return {name: found[name].detach().cpu() for name in (*own, *averages) if name in found}


def _differing(buffers: Mapping[str, Tensor], first: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in buffers.items() if not torch.equal(value, first[name])}


@torch.no_grad()
def _load_buffers(model: nn.Module, saved: Mapping[str, Tensor]) -> None:
    found = dict(model.named_buffers())
    for name in saved.keys() & found.keys():
        found[name].copy_(saved[name])
