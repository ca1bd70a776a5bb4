"""Two processes measure what each found without sending it, with the numbers of one process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from small_detector import small_config

from raydet.config import Config
from raydet.datasets import build_carrier
from raydet.engine import LocalEnvironment, ProcessGroupEnvironment, run_training, testing
from raydet.engine.hooks import evaluation
from raydet.engine.testing import evaluate_detector

METRICS = ["bbox", "proposal"]


def still(folder: Path, checkpoint: Path) -> Config:
    """A config that trains without changing the weights of `checkpoint`."""
    cfg = small_config(folder, images=4, runner={"type": "EpochBasedRunner", "max_epochs": 1})
    cfg.merge_from_dict({"load_from": str(checkpoint), "optimizer.lr": 0.0, "optimizer.weight_decay": 0.0})
    cfg.evaluation.metric = METRICS
    return cfg


def refuse(*_: object) -> None:
    raise AssertionError("results must not travel")


def evaluate(rank: int, folder: str, checkpoint: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    evaluation.collect_results = testing.collect_results = refuse  # type: ignore[assignment]
    cfg = still(Path(folder, f"data{rank}"), Path(checkpoint))
    environment = ProcessGroupEnvironment(Path(folder, "work"), "cpu")
    tested = evaluate_detector(cfg, checkpoint, split="val", environment=environment)
    trained = run_training(cfg, environment, build_carrier).metrics
    assert bool(tested) == bool(trained) == (rank == 0)
    if rank == 0:
        Path(folder, "metrics.json").write_text(json.dumps([tested, trained]))
    dist.destroy_process_group()


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    cfg = small_config(tmp_path / "first", images=4, runner={"type": "EpochBasedRunner", "max_epochs": 1})
    path = run_training(cfg, LocalEnvironment(tmp_path / "first" / "work", "cpu"), build_carrier).checkpoint
    assert path is not None
    return path


def test_two_processes_measure_as_one_does(tmp_path: Path, checkpoint: Path) -> None:
    cfg = still(tmp_path / "alone", checkpoint)
    alone = evaluate_detector(cfg, checkpoint, split="val", environment=LocalEnvironment(tmp_path / "alone", "cpu"))
    torch.multiprocessing.spawn(evaluate, (str(tmp_path), str(checkpoint)), nprocs=2)
    tested, trained = json.loads((tmp_path / "metrics.json").read_text())
    assert tested == trained == alone
    assert json.loads((tmp_path / "work" / "eval.json").read_text()) == alone
    assert alone["AR@1000"] > 0
