"""Runs whose checkpoints go to an S3 bucket."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs
import pytest
import seaweed
from interrupted_runs import Stop, assert_same_run, interrupted, train

from raydet.checkpoint import load
from raydet.checkpoint.store import CheckpointStore, checkpoints_in_store
from raydet.config import Config
from raydet.datasets import CocoDataset, build_carrier
from raydet.engine import LocalEnvironment, run_training

pytestmark = seaweed.marks
RUNS = "s3://data/runs"


@pytest.fixture
def make(make_config: Callable[..., Config]) -> Callable[..., Config]:
    """Six iterations, each with a checkpoint."""

    def with_checkpoints(**settings: Any) -> Config:
        section = dict(interval=1, by_epoch=False, **settings)
        return make_config(images=6, evaluation=None, checkpoint_config=section)

    return with_checkpoints


def names(bucket: pafs.FileSystem, folder: str) -> set[str]:
    return {info.base_name for info in bucket.get_file_info(pafs.FileSelector(f"data/runs/{folder}")) if info.is_file}


def wait_for(folder: str, name: str) -> None:
    """An interrupted run may still be sending."""
    for _ in range(100):
        if f"{folder}/{name}" in checkpoints_in_store(folder):
            return
        time.sleep(0.1)
    raise TimeoutError(f"{name} never came to {folder}")


def with_digests(*checkpoints: str) -> set[str]:
    return {f"{each}{ending}" for each in checkpoints for ending in ("", ".sha256")}


def test_out_dir_in_a_bucket_gets_the_newest_checkpoints(
    bucket: pafs.FileSystem, make: Callable[..., Config], tmp_path: Path
) -> None:
    whole = train(make(out_dir=RUNS, max_keep_ckpts=2), tmp_path / "kept")
    assert names(bucket, "kept") == with_digests("iter_5.pth", "iter_6.pth")
    assert {path.name for path in (tmp_path / "kept").glob("*.pth*")} == {"latest.pth", *with_digests("iter_6.pth")}
    assert_same_run(whole, load(f"{RUNS}/kept/iter_6.pth"))


def test_out_dir_without_optimizer_holds_weights_and_place(
    bucket: pafs.FileSystem, make: Callable[..., Config], tmp_path: Path
) -> None:
    train(make(out_dir=f"{RUNS}/light", save_optimizer=False), tmp_path / "light")
    assert names(bucket, "light") == with_digests(*(f"iter_{number}.pth" for number in range(1, 7)))
    assert set(load(f"{RUNS}/light/iter_6.pth")) == {"meta", "state_dict"}


def test_best_checkpoint_and_logs_go_to_a_bucket(
    bucket: pafs.FileSystem, make_config: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter((0.2, 0.3))
    monkeypatch.setattr(CocoDataset, "evaluate", lambda *args, **options: {"bbox_mAP": next(scores)})
    cfg = make_config(
        evaluation=dict(metric="bbox", save_best="auto", out_dir=RUNS),
        log_config=dict(interval=1, hooks=[dict(type="TextLoggerHook", out_dir=RUNS, keep_local=False)]),
    )
    train(cfg, tmp_path / "best")
    here = {path.name for path in (tmp_path / "best").iterdir()}
    found = names(bucket, "best")
    best = with_digests("best_bbox_mAP_epoch_2.pth")
    assert best == {name for name in found if name.startswith("best_")} == {n for n in here if n.startswith("best_")}
    assert not any(name.endswith(".log.json") for name in here)
    assert any(name.endswith(".log.json") for name in found)


@pytest.mark.parametrize("named", [True, False])
def test_run_goes_on_from_a_bucket_exactly(
    named: bool, bucket: pafs.FileSystem, make: Callable[..., Config], tmp_path: Path
) -> None:
    name = f"resumed_{named}"
    cfg = make(out_dir=RUNS)
    with pytest.raises(Stop):
        train(interrupted(cfg, 4), tmp_path / "lost" / name)
    wait_for(f"{RUNS}/{name}", "iter_4.pth")
    found = {"resume_from": f"{RUNS}/{name}/iter_4.pth"} if named else {"auto_resume": True}
    resumed = train(Config({**{key: cfg[key] for key in cfg}, **found}), tmp_path / "elsewhere" / name)
    assert_same_run(train(make(), tmp_path / "whole"), resumed)


def test_damaged_object_is_passed_over(bucket: pafs.FileSystem, make: Callable[..., Config], tmp_path: Path) -> None:
    cfg = make(out_dir=RUNS)
    train(cfg, tmp_path / "lost" / "damaged")
    content = bytearray(bucket.open_input_file("data/runs/damaged/iter_6.pth").read())
    content[len(content) // 2] ^= 1
    with bucket.open_output_stream("data/runs/damaged/iter_6.pth") as stream:
        stream.write(bytes(content))
    cfg.auto_resume = True
    run_training(cfg, LocalEnvironment(tmp_path / "elsewhere" / "damaged", "cpu"), build_carrier)
    log = next((tmp_path / "elsewhere" / "damaged").glob("*.log")).read_text()
    assert f"{RUNS}/damaged/iter_6.pth is damaged" in log
    cfg.resume_from, cfg.auto_resume = f"{RUNS}/damaged/iter_9.pth", False
    with pytest.raises(FileNotFoundError, match=f"{RUNS}/damaged/iter_9.pth"):
        train(cfg, tmp_path / "none")


def test_bucket_that_is_missing_is_said_before_training(bucket: pafs.FileSystem) -> None:
    with pytest.raises(OSError, match=r"s3://no-such-bucket/runs cannot be written"):
        CheckpointStore("s3://no-such-bucket/runs", logging.getLogger("raydet_test"))
