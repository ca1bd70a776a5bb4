"""Runs whose number of processes changes; here, so that processes that are started anew can import them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from interrupted_runs import Stop, interrupted
from resumable import retinanet

from raydet.datasets import build_carrier
from raydet.engine import Hook, LocalEnvironment, ProcessGroupEnvironment, run_training
from raydet.registry import HOOKS


@HOOKS.register_module(force=True)
class NoteSamplesHook(Hook):
    """Notes which images each iteration saw, on all its lanes, and at which learning rate."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def after_train_iter(self, runner: Any) -> None:
        batches = [*runner.other_batches, runner.data_batch]
        names = [Path(meta["filename"]).name for batch in batches for meta in batch["img_metas"]]
        record = {"epoch": runner.epoch, "iter": runner.iter, "names": names, "lr": runner.current_lr()[0]}
        with (self.folder / f"seen_{runner.world_size}_{runner.rank}.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")


def seen(folder: Path) -> list[dict[str, Any]]:
    """What all processes noted, by iteration."""
    records = [json.loads(line) for path in folder.glob("seen_*.jsonl") for line in path.read_text().splitlines()]
    return sorted(records, key=lambda record: record["iter"])


def run(environment: Any, folder: Path, elastic: dict[str, Any], stop: int | None, note: Path) -> None:
    """Train a small model; stop after an iteration, when that is given."""
    data = folder / f"data_{environment.world_size}_{environment.rank}_{stop}"
    cfg = retinanet(data, images=12, runner=dict(type="EpochBasedRunner", max_epochs=2))
    cfg.elastic = elastic
    cfg.lr_config = dict(policy="fixed")
    cfg.custom_hooks = [dict(type="NoteSamplesHook", folder=str(note))]
    if stop is None:
        run_training(cfg, environment, build_carrier)
        return
    try:
        run_training(interrupted(cfg, stop), environment, build_carrier)
    except Stop:
        return
    raise AssertionError("the run was not stopped")


def one_of(rank: int, world_size: int, folder: str, elastic: dict[str, Any], stops: dict[str, int | None]) -> None:
    """A process of runs that begin, or go on where another number of processes stopped."""
    torch.set_num_threads(1)
    meeting = Path(folder, f"meeting_{'_'.join(stops)}")
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=world_size)
    for work, stop in stops.items():
        place = Path(folder, work)
        run(ProcessGroupEnvironment(place, "cpu", resume=True), Path(folder), elastic, stop, place)
    dist.destroy_process_group()


def alone(folder: Path, work: str, elastic: dict[str, Any], stop: int | None = None) -> None:
    """The same in this process."""
    (folder / work).mkdir(exist_ok=True)
    run(LocalEnvironment(folder / work, "cpu", resume=True), folder, elastic, stop, folder / work)
