"""Runs that are interrupted; here, so that processes that are started anew can import them."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from resumable import CONFIGS, RECIPES
from small_detector import small_config

from raydet.checkpoint import load
from raydet.config import Config
from raydet.datasets import build_carrier
from raydet.engine import Hook, LocalEnvironment, ProcessGroupEnvironment, run_training
from raydet.registry import HOOKS

BY_ITERATION = dict(checkpoint_config=dict(interval=1, by_epoch=False), evaluation=None)
MEASURED = {"time", "data_time", "memory"}  # differ from run to run


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


def interrupted(cfg: Config, at: int, kill: bool = False) -> Config:
    hook = dict(type="InterruptHook", at=at, kill=kill, priority="LOWEST")
    return Config({**{key: cfg[key] for key in cfg}, "custom_hooks": [*(cfg.get("custom_hooks") or []), hook]})


def logged(work_dir: Path) -> dict[tuple[Any, ...], dict[str, Any]]:
    """What a run logged at each iteration; an iteration that it made twice must have logged the same twice."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for path in sorted(work_dir.glob("*.log.json")):
        for record in map(json.loads, path.read_text().splitlines()):
            if "mode" not in record:
                continue
            numbers = {key: value for key, value in record.items() if key not in MEASURED}
            place = (record["mode"], record["epoch"], record["iter"])
            assert_identical(found.setdefault(place, numbers), numbers, str(place))
    return found


def assert_same_run(whole: dict[str, Any], resumed: dict[str, Any]) -> None:
    """Equal weights with their averages, optimiser, states of ranks and hooks, and logged numbers, bit by bit."""
    own = "raydet"
    for part in ("state_dict", "optimizer"):
        assert_identical(whole[part], resumed[part], part)
    for part in ("epoch", "iter", "batch", "random_states", "buffers", "hooks", "log_buffer"):
        assert_identical(without_times(whole["meta"][own][part]), without_times(resumed["meta"][own][part]), part)


def without_times(state: Any) -> Any:
    if not isinstance(state, dict):
        return state
    return {
        key: without_times(value) for key, value in state.items() if key not in {*MEASURED, "elapsed", "time_sec_tot"}
    }


def assert_identical(one: Any, other: Any, place: str) -> None:
    if isinstance(one, dict):
        assert one.keys() == other.keys(), place
        for key in one:
            assert_identical(one[key], other[key], f"{place}.{key}")
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other), place
        for number, pair in enumerate(zip(one, other, strict=True)):
            assert_identical(*pair, f"{place}[{number}]")
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other), place
    else:
        assert one == other, f"{place}: {one} and {other}"


def killed(folder: str, num_threads: int) -> None:
    torch.set_num_threads(num_threads)  # sums depend on it
    cfg = small_config(Path(folder, "data"), images=6, **BY_ITERATION)
    hook = dict(type="InterruptHook", at=4, kill=True)
    cfg.custom_hooks = [hook]
    train(cfg, Path(folder, "work"))


def one_of_several(rank: int, world_size: int, folder: str, name: str, at: int | None) -> None:
    """Train undisturbed and then until all processes are killed before iteration `at`; or, with None, go on."""
    torch.set_num_threads(1)
    meeting = Path(folder, f"meeting_{at}")
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=world_size)
    cfg = (CONFIGS | RECIPES)[name](Path(folder, f"data{rank}"), interval=2, images=4 * world_size)
    cfg.data.workers_per_gpu = 1

    def go(work: str, config: Config, resume: bool = False) -> None:
        run_training(config, ProcessGroupEnvironment(Path(folder, work), "cpu", resume), build_carrier)

    if at is None:
        go("work", cfg, resume=True)
        dist.destroy_process_group()
        return
    go("whole", cfg)
    go("work", interrupted(cfg, at, kill=True))


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
