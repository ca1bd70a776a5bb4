"""Hooks that 2.x configs name beside those of every run."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.distributed as dist
from small_runner import Numbers, make
from torch import nn

from raydet.engine.hooks.synchronisation import SyncBuffersHook, SyncNormHook
from raydet.registry import HOOKS


class Mixing:
    """Stands for a MultiImageMixDataset: remembers what it was told."""

    def __init__(self) -> None:
        self.skipped: list[tuple[str, ...]] = []
        self.scales: list[tuple[int, int]] = []

    def update_skip_type_keys(self, keys: tuple[str, ...]) -> None:
        self.skipped.append(keys)

    def update_dynamic_scale(self, scale: tuple[int, int]) -> None:
        self.scales.append(scale)


def runner_with(dataset: Any, folder: Path, **limits: Any) -> tuple[Any, Numbers]:
    runner, carrier = make(folder=folder, **limits), Numbers(1)
    carrier.dataset = dataset
    return runner, carrier


def test_mode_switch_reaches_a_wrapped_data_set_and_the_head_once(tmp_path: Path) -> None:
    inner = Mixing()
    runner, carrier = runner_with(SimpleNamespace(dataset=inner), tmp_path, max_epochs=5)
    runner.model.bbox_head = nn.Identity()
    runner.model.bbox_head.use_l1 = False
    states: list[tuple[int, bool]] = []
    hook = dict(type="ClosureHook", fn_name="before_train_iter")
    runner.register_hook_from_cfg(dict(type="YOLOXModeSwitchHook", num_last_epochs=2, skip_type_keys=("Mosaic",)))
    runner.register_hook_from_cfg({**hook, "fn": lambda r: states.append((r.epoch, r.model.bbox_head.use_l1))})
    runner.run([carrier], [("train", 1)])
    assert states == [(0, False), (1, False), (2, True), (3, True), (4, True)]
    assert inner.skipped == [("Mosaic",)]


def test_mode_switch_is_made_up_for_by_a_run_that_begins_after_it(tmp_path: Path) -> None:
    inner = Mixing()
    runner, carrier = runner_with(inner, tmp_path, max_epochs=5)
    runner._epoch = 4
    runner.register_hook_from_cfg(dict(type="YOLOXModeSwitchHook", num_last_epochs=2))
    runner.run([carrier], [("train", 1)])
    assert inner.skipped == [("Mosaic", "RandomAffine", "MixUp")]


def test_mode_switch_without_a_mixing_data_set_says_what_to_do(tmp_path: Path) -> None:
    runner, carrier = runner_with(SimpleNamespace(), tmp_path, max_epochs=1)
    runner.register_hook_from_cfg(dict(type="YOLOXModeSwitchHook"))
    with pytest.raises(ValueError, match="needs a data set with update_skip_type_keys, such as MultiImageMixDataset"):
        runner.run([carrier], [("train", 1)])


def test_random_size_keeps_the_proportion_and_stays_in_range(tmp_path: Path) -> None:
    inner = Mixing()
    runner, carrier = runner_with(inner, tmp_path, max_epochs=8)
    runner.register_hook_from_cfg(dict(type="SyncRandomSizeHook", ratio_range=(2, 4), img_scale=(100, 200), interval=2))
    runner.run([carrier], [("train", 1)])
    assert len(inner.scales) == 4
    assert all(height == 2 * width and width in (64, 96, 128) for width, height in inner.scales)


def _average(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    runner = SimpleNamespace(model=nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 2)), world_size=2, epoch=0)
    runner.max_epochs = 1
    norm, linear = runner.model
    with torch.no_grad():
        for tensor in (norm.running_mean, norm.weight, linear.weight):
            tensor.fill_(float(rank))
    norm.num_batches_tracked += rank
    SyncBuffersHook().after_train_epoch(runner)
    assert norm.running_mean.tolist() == [0.5, 0.5]
    assert norm.weight.tolist() == [float(rank)] * 2
    hook = SyncNormHook(num_last_epochs=1, interval=7)
    hook.before_train_epoch(runner)
    hook.after_train_epoch(runner)
    assert norm.weight.tolist() == [0.5, 0.5]
    assert linear.weight.mean().item() == rank
    assert norm.num_batches_tracked.item() == rank
    dist.destroy_process_group()


def test_normalisation_layers_are_averaged_over_two_processes(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(_average, (str(tmp_path),), nprocs=2)


def test_memory_profiler_writes_the_line_of_2x(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    runner = make(folder=tmp_path, max_epochs=1)
    runner.logger = logging.getLogger("raydet_test_memory")
    runner.register_hook_from_cfg(dict(type="MemoryProfilerHook", interval=2))
    with caplog.at_level(logging.INFO):
        runner.run([Numbers(4)], [("train", 1)])
    lines = [record.message for record in caplog.records if record.message.startswith("Memory information")]
    assert len(lines) == 2
    names = [part.split(":")[0] for part in lines[0].removeprefix("Memory information ").split(", ")]
    assert names == [
        "available_memory",
        "used_memory",
        "memory_utilization",
        "available_swap_memory",
        "used_swap_memory",
        "swap_memory_utilization",
        "current_process_memory",
    ]
    assert int(lines[0].split("current_process_memory: ")[1].split()[0]) > 50


def test_profiler_stops_after_its_iterations_and_writes_table_and_trace(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runner = make(folder=tmp_path, max_epochs=1)
    runner.logger = logging.getLogger("raydet_test_profiler")
    trace = tmp_path / "traces" / "trace.json"
    hook = HOOKS.build(
        dict(
            type="ProfilerHook",
            by_epoch=False,
            profile_iters=2,
            on_trace_ready=dict(type="log_trace", sort_by="cpu_time_total", row_limit=3),
            json_trace_path=str(trace),
        )
    )
    runner.register_hook(hook)
    stopped: list[bool] = []
    watch = dict(type="ClosureHook", fn_name="after_train_iter", fn=lambda r: stopped.append(hook.profiler is None))
    runner.register_hook_from_cfg({**watch, "priority": "LOW"})
    with caplog.at_level(logging.INFO):
        runner.run([Numbers(3)], [("train", 1)])
    assert stopped == [False, True, True]
    assert trace.stat().st_size > 0
    assert any("Self CPU" in record.message for record in caplog.records)


def test_profiler_refuses_a_run_that_is_too_short_and_unknown_activities(tmp_path: Path) -> None:
    runner = make(folder=tmp_path, max_epochs=1)
    runner.register_hook_from_cfg(dict(type="ProfilerHook", profile_iters=2))
    with pytest.raises(ValueError, match="profile 2 epochs, but the run has 1"):
        runner.run([Numbers(1)], [("train", 1)])
    with pytest.raises(ValueError, match=r"'cpu' and 'cuda', got \['tpu'\]"):
        HOOKS.build(dict(type="ProfilerHook", activities=["tpu"]))
