"""A run that is interrupted anywhere and resumed ends exactly like one that was not."""

from __future__ import annotations

import json
import multiprocessing
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from interrupted_runs import BY_ITERATION, Stop, assert_same_run, interrupted, killed, logged, train, two_processes
from small_detector import small_config

from raydet.checkpoint import load
from raydet.config import Config
from raydet.datasets import build_carrier
from raydet.engine import LocalEnvironment, run_training


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("undisturbed")
    return train(small_config(folder, images=6, **BY_ITERATION), folder / "work")


@pytest.mark.parametrize("at", [2, 3, 5])
def test_resume_after_interruption_at_any_iteration_ends_bit_identical(
    at: int, undisturbed: dict[str, Any], tmp_path: Path, make_config: Callable[..., Config]
) -> None:
    cfg = make_config(images=6, **BY_ITERATION)
    with pytest.raises(Stop):
        train(interrupted(cfg, at), tmp_path / "work")
    resumed = train(cfg, tmp_path / "work", resume=True)
    assert_same_run(undisturbed, resumed)
    assert undisturbed["meta"]["iter"] == resumed["meta"]["iter"] == 6


EXTRAS = {
    "ema": dict(custom_hooks=[dict(type="ExpMomentumEMAHook", total_iter=4, priority=49)]),
    "ema after the checkpoint": dict(custom_hooks=[dict(type="LinearMomentumEMAHook", warm_up=4)]),
    "accumulation": dict(optimizer_config=dict(type="GradientCumulativeOptimizerHook", cumulative_iters=2)),
    "iterations": dict(
        runner=dict(type="IterBasedRunner", max_iters=4),
        lr_config=dict(policy="poly", power=0.9, min_lr=1e-4),
    ),
    "mixed precision": dict(fp16=dict(loss_scale="dynamic")),
    "adamw and cosine": dict(
        optimizer=dict(type="AdamW", lr=1e-3, weight_decay=0.01, paramwise_cfg=dict(norm_decay_mult=0.0)),
        lr_config=dict(policy="CosineAnnealing", min_lr=0, by_epoch=False),
    ),
}


@pytest.mark.parametrize("extra", EXTRAS)
def test_resume_with_stateful_parts_ends_bit_identical(
    extra: str, tmp_path: Path, make_config: Callable[..., Config]
) -> None:
    cfg = make_config(images=4, **{**BY_ITERATION, **EXTRAS[extra]})
    with pytest.raises(Stop):
        train(interrupted(cfg, 3), tmp_path / "work")
    resumed = train(cfg, tmp_path / "work", resume=True)
    assert_same_run(train(cfg, tmp_path / "whole"), resumed)
    assert logged(tmp_path / "whole") == logged(tmp_path / "work")


def test_resume_from_an_epoch_checkpoint_makes_up_for_its_evaluation(
    tmp_path: Path, make_config: Callable[..., Config]
) -> None:
    cfg = make_config(images=6, evaluation=dict(metric="bbox", save_best="bbox_mAP", rule="less"))
    whole = train(cfg, tmp_path / "whole")
    with pytest.raises(Stop):
        train(interrupted(cfg, 3), tmp_path / "work")
    resumed = train(cfg, tmp_path / "work", resume=True)
    assert_same_run(whole, resumed)
    assert whole["meta"]["hook_msgs"]["best_score"] == resumed["meta"]["hook_msgs"]["best_score"]
    records = [json.loads(line) for path in sorted((tmp_path / "work").glob("*.log.json")) for line in path.open()]
    assert [r["epoch"] for r in records if r.get("mode") == "val"][-2:] == [1, 2]


def test_resume_passes_over_a_broken_checkpoint(
    undisturbed: dict[str, Any], tmp_path: Path, make_config: Callable[..., Config]
) -> None:
    cfg = make_config(images=6, **BY_ITERATION)
    with pytest.raises(Stop):
        train(interrupted(cfg, 4), tmp_path / "work")
    newest = tmp_path / "work" / "iter_4.pth"
    newest.write_bytes(newest.read_bytes()[:5000])
    assert_same_run(undisturbed, train(cfg, tmp_path / "work", resume=True))


def test_resume_of_a_finished_run_changes_nothing(
    undisturbed: dict[str, Any], tmp_path: Path, make_config: Callable[..., Config]
) -> None:
    cfg = make_config(images=6, **BY_ITERATION)
    train(cfg, tmp_path / "work")
    run_training(cfg, LocalEnvironment(tmp_path / "work", "cpu", resume=True), build_carrier)
    assert_same_run(undisturbed, load(tmp_path / "work" / "iter_6.pth"))


def test_resume_with_the_checkpoint_of_another_model_is_refused_before_training(
    tmp_path: Path, make_config: Callable[..., Config]
) -> None:
    cfg = make_config(images=6, **BY_ITERATION, runner=dict(type="EpochBasedRunner", max_epochs=1))
    train(cfg, tmp_path / "work")
    other = make_config(images=6, **BY_ITERATION, resume_from=str(tmp_path / "work" / "latest.pth"))
    other.model.neck.out_channels = 24
    other.model.rpn_head.in_channels = 24
    other.model.roi_head.bbox_roi_extractor.out_channels = 24
    other.model.roi_head.bbox_head.in_channels = 24
    with pytest.raises(ValueError, match=r"latest.pth is of another model: .*other shapes .*neck.lateral_convs"):
        run_training(other, LocalEnvironment(tmp_path / "other", "cpu"), build_carrier)


def test_resume_after_sigkill_in_mid_epoch_ends_bit_identical(
    undisturbed: dict[str, Any], tmp_path: Path, make_config: Callable[..., Config]
) -> None:
    process = multiprocessing.get_context("spawn").Process(target=killed, args=(str(tmp_path), torch.get_num_threads()))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    resumed = train(make_config(images=6, **BY_ITERATION), tmp_path / "work", resume=True)
    assert_same_run(undisturbed, resumed)


def test_resume_of_two_processes_ends_bit_identical(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(two_processes, (str(tmp_path),), nprocs=2)
    whole, resumed = (load(tmp_path / work / "latest.pth") for work in ("whole", "work"))
    assert_same_run(whole, resumed)
    assert len(resumed["meta"]["raydet"]["random_states"]) == 2
