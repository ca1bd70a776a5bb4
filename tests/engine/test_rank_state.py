"""Every rank gets back what only it held: its random generators, and statistics that differ from those of rank 0."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from raydet.engine.hooks.ema import AveragedWeights
from raydet.engine.logging import get_logger
from raydet.engine.rank_state import columns, load_rank_state, rank_state


def make(mean: float) -> nn.Module:
    """A layer whose statistics this rank alone knows, and their averages; the weights are those of all ranks."""
    model = nn.Sequential(nn.BatchNorm2d(2))
    model[0].running_mean.fill_(mean)
    AveragedWeights(model, list(model.state_dict()))
    return model


def resume(saved: Any, model: nn.Module, rank: int, world_size: int = 2) -> dict[str, Tensor]:
    load_rank_state(SimpleNamespace(model=model, rank=rank, world_size=world_size, logger=get_logger("test")), saved)
    return dict(model.named_buffers())


def test_statistics_of_each_rank_come_back() -> None:
    saved = columns([rank_state(make(mean), 2) for mean in (1.0, 2.0)])
    assert saved["buffers"][0] == {}
    assert set(saved["buffers"][1]) == {"0.running_mean", "ema_0_running_mean"}
    for rank, expected in enumerate([1.0, 2.0]):
        buffers = resume(saved, make(1.0), rank)  # with the weights of rank 0
        assert buffers["0.running_mean"].tolist() == buffers["ema_0_running_mean"].tolist() == [expected] * 2


def test_draws_of_each_rank_go_on() -> None:
    states, draws = [], []
    for seed in range(2):
        random.seed(seed)
        states.append(rank_state(make(0.0), 2))
        draws.append(random.random())
    for rank in (1, 0):
        resume(columns(states), make(0.0), rank)
        assert random.random() == draws[rank]


def test_another_number_of_ranks_starts_from_rank_0() -> None:
    saved = columns([rank_state(make(mean), 2) for mean in (1.0, 2.0)])
    assert resume(saved, make(1.0), rank=1, world_size=3)["0.running_mean"].tolist() == [1.0, 1.0]


def test_a_checkpoint_without_buffers_is_read() -> None:
    saved = {"random_states": [rank_state(make(0.0), 1)["random"]] * 2}
    assert torch.equal(resume(saved, make(1.0), rank=1)["0.running_mean"], torch.ones(2))
