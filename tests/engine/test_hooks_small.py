from __future__ import annotations

import logging
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_runner import Line, Numbers, make
from torch import nn

from raydet.checkpoint import load
from raydet.engine import Hook, NonFiniteLossError
from raydet.engine.log_buffer import LogBuffer
from raydet.engine.random import load_random_state, random_state
from raydet.registry import HOOKS


class Broken(Line):
    """Its loss is infinite from the third iteration on, while what it logs looks fine."""

    calls = 0

    def train_step(self, data: dict[str, Any], optimizer: Any) -> dict[str, Any]:
        self.calls += 1
        loss = self.weight.sum() * (float("inf") if self.calls > 2 else 1.0)
        return {"loss": loss, "log_vars": {"loss": 1.0}, "num_samples": 1}


def test_check_invalid_loss_stops_at_its_interval_and_names_samples(tmp_path: Path) -> None:
    runner = make(folder=tmp_path, max_epochs=1)
    runner.model = Broken()
    runner.register_hook_from_cfg(dict(type="CheckInvalidLossHook", interval=4))
    with pytest.raises(NonFiniteLossError, match=r"iteration 4: .*0_3.jpg"):
        runner.run([Numbers(6)], [("train", 1)])


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam])
def test_momentum_schedule_reaches_momentum_and_betas(optimizer: Any, tmp_path: Path) -> None:
    runner = make(folder=tmp_path, max_epochs=2)
    option = {"momentum": 0.9} if optimizer is torch.optim.SGD else {"betas": (0.9, 0.99)}
    runner.optimizer = optimizer(runner.model.parameters(), lr=0.1, **option)
    runner.register_momentum_hook(dict(policy="step", step=[1], gamma=0.5))
    runner.run([Numbers()], [("train", 1)])
    assert runner.current_momentum() == pytest.approx([0.45])


def test_detect_anomalous_params_names_what_the_loss_does_not_reach(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runner = make(folder=tmp_path, max_epochs=1)
    runner.model.idle = nn.Parameter(torch.ones(3))
    runner.logger = logging.getLogger("raydet_test_anomalous")
    runner.register_optimizer_hook(dict(detect_anomalous_params=True))
    with caplog.at_level(logging.ERROR):
        runner.run([Numbers(1)], [("train", 1)])
    assert [record.message for record in caplog.records] == ["the loss does not depend on idle with shape (3,)"]


def test_gradient_norm_is_logged_and_clipped(tmp_path: Path) -> None:
    runner = make(folder=tmp_path, max_epochs=1)
    runner.register_optimizer_hook(dict(grad_clip=dict(max_norm=0.5)))
    runner.run([[{"x": torch.tensor([3.0])}]], [("train", 1)])
    assert runner.log_buffer.val_history["grad_norm"] == [pytest.approx(18.0)]
    assert runner.model.weight.item() == pytest.approx(1 - 0.1 * 0.5)


def test_ema_is_in_place_between_epochs_only(tmp_path: Path) -> None:
    seen: list[float] = []

    class Look(Hook):
        def after_train_iter(self, runner: Any) -> None:
            runner.model.weight.data += 1.0

        def after_train_epoch(self, runner: Any) -> None:
            seen.append(runner.model.weight.item())

        def before_train_epoch(self, runner: Any) -> None:
            seen.append(runner.model.weight.item())

    runner = make(folder=tmp_path, max_epochs=2)
    runner.register_hook(Look(), "LOW")
    runner.register_hook_from_cfg(dict(type="LinearMomentumEMAHook", momentum=0.5, warm_up=1, priority=75))
    runner.register_hook(Look(), "VERY_LOW")
    runner.run([Numbers(1)], [("train", 1)])
    # look 1 adds 1, the average follows by half, look 2 adds 1; between the looks the average takes its place
    assert seen == [1.0, 1.0, 3.0, 1.5, 1.5, 3.0, 5.0, 2.75]


def test_closure_hook_calls_its_function_and_refuses_other_points(tmp_path: Path) -> None:
    called: list[int] = []
    runner = make(folder=tmp_path, max_epochs=2)
    hook = HOOKS.build(dict(type="ClosureHook", fn_name="after_train_epoch", fn=lambda r: called.append(r.epoch)))
    runner.register_hook(hook)
    runner.run([Numbers(1)], [("train", 1)])
    assert called == [0, 1]
    with pytest.raises(ValueError, match="fn_name is 'sometimes'"):
        HOOKS.build(dict(type="ClosureHook", fn_name="sometimes", fn=print))


def test_log_buffer_weighs_by_the_number_of_samples() -> None:
    buffer = LogBuffer()
    buffer.update({"loss": 1.0}, 1)
    buffer.update({"loss": 4.0}, 2)
    buffer.average()
    assert buffer.output == {"loss": 3.0}
    buffer.average(1)
    assert buffer.output == {"loss": 4.0}
    restored = LogBuffer()
    restored.load_state_dict(buffer.state_dict())
    assert restored.val_history == buffer.val_history
    assert restored.ready


def test_tensorboard_logger_without_its_package_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    runner = make(folder=tmp_path, max_epochs=1)
    runner.register_logger_hooks(dict(interval=1, hooks=[dict(type="TensorboardLoggerHook")]))
    with pytest.raises(ImportError, match=r"install raydet\[track\]"):
        runner.run([Numbers()], [("train", 1)])


def test_random_state_brings_back_every_generator() -> None:
    def draw() -> list[float]:
        return [random.random(), random.gauss(0, 1), float(np.random.rand()), torch.rand(1).item()]

    random.gauss(0, 1)  # leaves half a pair behind
    state = random_state()
    first = draw()
    assert draw() != first
    load_random_state(state)
    assert draw() == first


@pytest.mark.parametrize(
    ("arguments", "calls"),
    [
        ({}, 2),
        (dict(before_epoch=True, after_epoch=False), 2),
        (dict(after_epoch=False, after_iter=True), 6),
        (dict(after_epoch=False), 0),
    ],
)
def test_empty_cache_hook_acts_at_the_points_it_is_given(
    arguments: dict[str, Any], calls: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[None] = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: called.append(None))
    runner = make(folder=tmp_path, max_epochs=2)
    runner.register_hook_from_cfg(dict(type="EmptyCacheHook", **arguments))
    runner.run([Numbers(3)], [("train", 1)])
    assert len(called) == calls


def test_set_epoch_info_tells_the_model_the_epoch(tmp_path: Path) -> None:
    told: list[int] = []
    runner = make(folder=tmp_path, max_epochs=3)
    runner.model.set_epoch = told.append
    runner.register_hook_from_cfg(dict(type="SetEpochInfoHook"))
    runner.run([Numbers(1)], [("train", 1)])
    assert told == [0, 1, 2]


def test_hooks_can_ask_where_in_the_run_they_are(tmp_path: Path) -> None:
    questions = {
        "first epoch": lambda hook, runner: hook.is_first_epoch(runner),
        "first iteration": lambda hook, runner: hook.is_first_iter(runner),
        "second epoch": lambda hook, runner: hook.every_n_epochs(runner, 2),
        "third iteration": lambda hook, runner: hook.every_n_iters(runner, 3),
        "second of an epoch": lambda hook, runner: hook.every_n_inner_iters(runner, 2),
        "never": lambda hook, runner: hook.every_n_iters(runner, 0),
        "end of epoch": lambda hook, runner: hook.end_of_epoch(runner),
        "last epoch": lambda hook, runner: hook.is_last_epoch(runner),
        "last iteration": lambda hook, runner: hook.is_last_iter(runner),
    }
    answers: dict[str, list[int]] = {name: [] for name in questions}

    class Asking(Hook):
        def after_train_iter(self, runner: Any) -> None:
            for name, ask in questions.items():
                if ask(self, runner):
                    answers[name].append(runner.iter)

    runner = make(folder=tmp_path, max_epochs=2)
    runner.register_hook(Asking())
    runner.run([Numbers(4)], [("train", 1)])
    assert answers == {
        "first epoch": [0, 1, 2, 3],
        "first iteration": [0],
        "second epoch": [4, 5, 6, 7],
        "third iteration": [2, 5],
        "second of an epoch": [1, 3, 5, 7],
        "never": [],
        "end of epoch": [3, 7],
        "last epoch": [4, 5, 6, 7],
        "last iteration": [7],
    }


@pytest.mark.parametrize(("save_last", "expected"), [(True, ["epoch_2.pth", "epoch_3.pth"]), (False, ["epoch_2.pth"])])
def test_the_last_checkpoint_is_saved_whatever_the_interval(
    save_last: bool, expected: list[str], tmp_path: Path
) -> None:
    runner = make(folder=tmp_path, max_epochs=3)
    runner.register_checkpoint_hook(dict(interval=2, save_last=save_last))
    runner.run([Numbers(1)], [("train", 1)])
    assert sorted(path.name for path in tmp_path.glob("epoch_*.pth")) == expected


def test_checkpoints_can_do_without_the_optimizer_and_have_names_of_their_own(tmp_path: Path) -> None:
    runner = make(folder=tmp_path, max_epochs=1)
    runner.register_checkpoint_hook(dict(interval=1, save_optimizer=False, filename_tmpl="line_{}.pth"))
    runner.run([Numbers(1)], [("train", 1)])
    assert sorted(load(tmp_path / "line_1.pth")) == ["meta", "state_dict"]


@pytest.mark.parametrize("keep_local", [True, False])
def test_text_logger_repeats_the_name_of_the_run_and_copies_its_files(
    keep_local: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runner = make(folder=tmp_path / "work", max_epochs=1)
    (tmp_path / "work").mkdir()
    runner.logger = logging.getLogger("raydet_test_names")
    runner.meta["exp_name"] = "line.py"
    runner.register_timer_hook(dict(type="IterTimerHook"))
    arguments = dict(interval_exp_name=2, by_epoch=False, out_dir=str(tmp_path / "logs"), keep_local=keep_local)
    runner.register_logger_hooks(dict(interval=2, hooks=[dict(type="TextLoggerHook", **arguments)]))
    with caplog.at_level(logging.INFO):
        runner.run([Numbers(5)], [("train", 1)])
    assert [record.message for record in caplog.records].count("Exp name: line.py") == 2
    assert [path.name for path in (tmp_path / "logs" / "work").iterdir()] == [f"{runner.timestamp}.log.json"]
    assert (tmp_path / "work" / f"{runner.timestamp}.log.json").exists() is keep_local
