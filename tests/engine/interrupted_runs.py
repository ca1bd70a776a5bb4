"""Runs that are interrupted; here, so that processes that are started anew can import them."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from small_detector import small_config

from raydet.checkpoint import load
from raydet.config import Config
from raydet.datasets import build_carrier
from raydet.engine import Hook, LocalEnvironment, ProcessGroupEnvironment, run_training
from raydet.registry import HOOKS

BY_ITERATION = dict(checkpoint_config=dict(interval=1, by_epoch=False), evaluation=None)


class Stop(Exception):  # noqa: N818
    """The interruption."""


@HOOKS.register_module(force=True)
class InterruptHook(Hook):
    """Ends the run after an iteration, by an exception or by killing the process."""

    def __init__(self, at: int, kill: bool = False) -> None:
        self.at = at
        self.kill = kill

    def before_train_iter(self, runner: Any) -> None:
        if runner.iter == self.at and self.kill:
            os.kill(os.getpid(), signal.SIGKILL)
        if runner.iter == self.at:
            raise Stop


def train(cfg: Config, work_dir: Path, resume: bool = False) -> dict[str, Any]:
    result = run_training(cfg, LocalEnvironment(work_dir, "cpu", resume=resume), build_carrier)
    assert result.checkpoint is not None
    return load(result.checkpoint)


def interrupted(cfg: Config, at: int) -> Config:
    hook = dict(type="InterruptHook", at=at, priority="LOWEST")
    return Config({**{key: cfg[key] for key in cfg}, "custom_hooks": [*(cfg.get("custom_hooks") or []), hook]})


def killed(folder: str, num_threads: int) -> None:
    torch.set_num_threads(num_threads)  # sums depend on it
    cfg = small_config(Path(folder, "data"), images=6, **BY_ITERATION)
    hook = dict(type="InterruptHook", at=4, kill=True)
    cfg.custom_hooks = [hook]
    train(cfg, Path(folder, "work"))


def two_processes(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    cfg = small_config(Path(folder, f"data{rank}"), images=6, **{**BY_ITERATION, "evaluation": dict(metric="bbox")})

    def go(work: str, config: Config, resume: bool = False) -> Any:
        return run_training(config, ProcessGroupEnvironment(Path(folder, work), "cpu", resume), build_carrier)

    whole = go("whole", cfg)
    with pytest.raises(Stop):
        go("work", interrupted(cfg, 3))
    dist.barrier()
    resumed = go("work", cfg, resume=True)
    assert bool(whole.metrics) == (rank == 0)
    assert whole.metrics == resumed.metrics
    dist.destroy_process_group()
