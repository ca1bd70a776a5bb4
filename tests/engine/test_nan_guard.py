"""Steps whose loss or gradient is not finite: stopped or left out, written down, and done again."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_runner import Line, Numbers, make

from raydet.checkpoint import load
from raydet.cli import main
from raydet.config import Config
from raydet.datasets import build_carrier
from raydet.engine import LocalEnvironment, NonFiniteLossError, run_training
from raydet.engine.nan_guard import NanGuard
from raydet.engine.replay import _decode, _encode, replay
from raydet.structures import BitmapMasks, PolygonMasks


class Sometimes(Line):
    """Its loss is NaN for chosen inputs."""

    bad: tuple[float, ...] = (1.0,)

    def train_step(self, data: dict[str, Any], optimizer: Any) -> dict[str, Any]:
        scale = math.nan if data["x"].item() in self.bad else 1.0
        loss = self(data["x"]).pow(2).mean() * scale
        return {"loss": loss, "log_vars": {"loss_line": loss.item(), "loss": loss.item()}, "num_samples": 1}


class Steep(Line):
    """Its loss is 0 at first, its gradient is NaN."""

    def train_step(self, data: dict[str, Any], optimizer: Any) -> dict[str, Any]:
        loss = (self.weight - 1).abs().sqrt().mul(0).sum()
        return {"loss": loss, "log_vars": {"loss": loss.item()}, "num_samples": 1}


def runner_for(model: Any, folder: Path, **guard: Any) -> Any:
    runner = make(folder=folder, max_epochs=1)
    runner.model = model
    runner.optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    runner.guard = NanGuard(**guard)
    return runner


def test_stop_names_loss_sample_and_parameters_and_the_step_can_be_repeated(tmp_path: Path) -> None:
    runner = runner_for(Sometimes(), tmp_path)
    runner.register_optimizer_hook(dict(type="OptimizerHook"))
    with pytest.raises(
        NonFiniteLossError,
        match=r"iteration 2: loss_line = nan; samples of this process: 0_1\.jpg.*All parameters are finite.*raydet rep",
    ):
        runner.run([Numbers(3)], [("train", 1)])
    found = replay(tmp_path / "nonfinite_iter_2_rank_0.pt", model=Sometimes())
    assert (found.iteration, found.samples, found.gradients) == (2, ["0_1.jpg"], ["weight"])
    assert math.isnan(found.losses["loss_line"])
    assert math.isnan(found.recorded["loss_line"])


def test_a_parameter_that_is_broken_already_is_named(tmp_path: Path) -> None:
    runner = runner_for(Sometimes(), tmp_path, dump=False)
    runner.model.weight.data.fill_(math.inf)
    with pytest.raises(NonFiniteLossError, match="first parameter that is not finite is weight"):
        runner.run([Numbers(1)], [("train", 1)])
    assert list(tmp_path.glob("nonfinite_*")) == []


def test_skip_leaves_weights_and_logs_alone_and_trains_on(tmp_path: Path) -> None:
    runner = runner_for(Sometimes(), tmp_path, policy="skip")
    runner.register_optimizer_hook(dict(type="OptimizerHook"))
    weights: list[float] = []
    watch = dict(type="ClosureHook", fn_name="after_train_iter", fn=lambda r: weights.append(r.model.weight.item()))
    runner.register_hook_from_cfg({**watch, "priority": "LOW"})
    runner.run([Numbers(3)], [("train", 1)])
    assert weights[0] == weights[1] != weights[2]
    assert all(math.isfinite(value) for value in runner.log_buffer.val_history["loss"])
    assert runner.meta["hook_msgs"]["nonfinite_steps"] == 1


def test_skip_ends_the_run_when_its_limit_is_passed_and_dumps_once(tmp_path: Path) -> None:
    runner = runner_for(Sometimes(), tmp_path, policy="skip", limit=2)
    runner.model.bad = (0.0, 1.0, 2.0)
    runner.register_optimizer_hook(dict(type="OptimizerHook"))
    with pytest.raises(NonFiniteLossError, match=r"iteration 3.*nan_guard.limit=2 steps were left out before"):
        runner.run([Numbers(4)], [("train", 1)])
    assert [path.name for path in tmp_path.glob("nonfinite_*")] == ["nonfinite_iter_1_rank_0.pt"]


def test_skipped_step_in_an_accumulation_counts_without_its_gradient(tmp_path: Path) -> None:
    runner = runner_for(Sometimes(), tmp_path, policy="skip")
    runner.register_optimizer_hook(dict(type="GradientCumulativeOptimizerHook", cumulative_iters=3))
    runner.run([Numbers(3)], [("train", 1)])
    # gradients of (w x)^2 / 3 at x = 0 and 2, without that at x = 1
    assert runner.model.weight.item() == pytest.approx(1 - 0.1 * (2 * 4) / 3)


def test_gradient_that_is_not_finite_is_caught_where_gradients_are_clipped(tmp_path: Path) -> None:
    runner = runner_for(Steep(), tmp_path)
    runner.register_optimizer_hook(dict(grad_clip=dict(max_norm=1.0)))
    with pytest.raises(NonFiniteLossError, match=r"gradient is not finite at iteration 1, first that of weight; .*0_0"):
        runner.run([Numbers(1)], [("train", 1)])
    skipping = runner_for(Steep(), tmp_path, policy="skip")
    skipping.register_optimizer_hook(dict(grad_clip=dict(max_norm=1.0)))
    skipping.run([Numbers(2)], [("train", 1)])
    assert skipping.model.weight.item() == 1.0
    assert skipping.meta["hook_msgs"]["nonfinite_steps"] == 2


def test_wrong_settings_are_named() -> None:
    with pytest.raises(ValueError, match=r"nan_guard.policy is 'pass', expected 'stop' or 'skip'"):
        NanGuard(policy="pass")
    with pytest.raises(ValueError, match=r"nan_guard.limit must be an int of 1 at least, got 0"):
        NanGuard(limit=0)


def test_masks_and_metadata_of_a_batch_come_back(tmp_path: Path) -> None:
    bitmap = BitmapMasks(np.ones((1, 2, 3), np.uint8), 2, 3)
    polygon = PolygonMasks([[np.array([0.0, 0, 1, 0, 1, 1])]], 2, 3)
    batch = {
        "img": torch.ones(1, 3, 2, 2),
        "gt_masks": [bitmap, polygon],
        "img_metas": [dict(ori_filename="a", scale_factor=np.ones(4, np.float32), img_shape=(2, 2, 3))],
    }
    torch.save(_encode(batch), tmp_path / "batch.pt")
    back = _decode(load(tmp_path / "batch.pt"), torch.device("cpu"))
    assert back["gt_masks"][0].masks.tolist() == bitmap.masks.tolist()
    assert back["gt_masks"][1].masks[0][0].tolist() == polygon.masks[0][0].tolist()
    assert back["img_metas"][0]["img_shape"] == (2, 2, 3)
    assert back["img_metas"][0]["scale_factor"].dtype == np.float32


def test_replay_of_a_detector_repeats_the_losses_of_the_run(
    tmp_path: Path, make_config: Callable[..., Config], capsys: pytest.CaptureFixture[str]
) -> None:
    cfg = make_config(images=2, evaluation=None, optimizer=dict(type="SGD", lr=1e12))
    cfg.lr_config = dict(policy="fixed")
    cfg.optimizer_config = dict()
    cfg.runner.max_epochs = 20
    with pytest.raises(NonFiniteLossError) as stop:
        run_training(cfg, LocalEnvironment(tmp_path / "work", "cpu"), build_carrier)
    (path,) = (tmp_path / "work").glob("nonfinite_*.pt")
    assert str(path) in str(stop.value)
    found = replay(path)
    assert {name: str(value) for name, value in found.losses.items()} == {k: str(v) for k, v in found.recorded.items()}
    assert main(["replay", str(path), "--device", "cpu"]) == 0
    assert "reproduced" in capsys.readouterr().out


def test_replay_refuses_other_files(tmp_path: Path) -> None:
    torch.save({"state_dict": {}}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match="is not a saved step"):
        replay(tmp_path / "other.pt")
