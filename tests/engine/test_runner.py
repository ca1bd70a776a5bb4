from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runner import Line, Numbers, make
from torch.nn.parallel import DistributedDataParallel

from raydet.engine import (
    DefaultRunnerConstructor,
    Hook,
    IterBasedRunner,
    LocalEnvironment,
    NonFiniteLossError,
    Priority,
    build_runner,
)
from raydet.engine.hooks.base import STAGES, get_priority
from raydet.engine.parallel import call_through
from raydet.registry import RUNNER_BUILDERS


class Recorder(Hook):
    def __init__(self) -> None:
        self.seen: list[tuple[str, int, int, int]] = []


for _stage in STAGES:

    def _record(self: Recorder, runner: Any, stage: str = _stage) -> None:
        self.seen.append((stage, runner.epoch, runner.iter, runner.inner_iter))

    setattr(Recorder, _stage, _record)


def test_epochs_call_every_stage_in_order() -> None:
    runner, recorder = make(max_epochs=1), Recorder()
    runner.register_hook(recorder)
    runner.run([Numbers(2), Numbers(1)], [("train", 1), ("val", 1)])
    assert recorder.seen == [
        ("before_run", 0, 0, 0),
        ("before_train_epoch", 0, 0, 0),
        ("before_train_iter", 0, 0, 0),
        ("after_train_iter", 0, 0, 0),
        ("before_train_iter", 0, 1, 1),
        ("after_train_iter", 0, 1, 1),
        ("after_train_epoch", 0, 2, 1),
        ("before_val_epoch", 1, 2, 0),
        ("before_val_iter", 1, 2, 0),
        ("after_val_iter", 1, 2, 0),
        ("after_val_epoch", 1, 2, 0),
        ("after_run", 1, 2, 0),
    ]


def test_iterations_go_from_epoch_to_epoch_of_the_carrier() -> None:
    carrier, runner = Numbers(3), make(IterBasedRunner, max_iters=7)
    runner.run([carrier], [("train", 1)])
    assert (runner.iter, runner.epoch) == (7, 2)
    assert carrier.asked == [(0, 0), (1, 0), (2, 0)]


def test_hooks_act_by_priority_and_then_in_order_of_registration() -> None:
    runner = make(max_epochs=1)
    hooks = {name: Hook() for name in ("low", "normal", "first", "fifty")}
    for name, priority in (("low", "LOW"), ("normal", "NORMAL"), ("first", 0), ("fifty", 50)):
        runner.register_hook(hooks[name], priority)
    assert runner.hooks == [hooks[name] for name in ("first", "normal", "fifty", "low")]


@pytest.mark.parametrize(("given", "number"), [("lowest", 100), ("VERY_HIGH", 10), (49, 49), (Priority.LOW, 70)])
def test_priority_is_a_name_or_a_number(given: Any, number: int) -> None:
    assert get_priority(given) == number


@pytest.mark.parametrize(("given", "error"), [(101, ValueError), ("URGENT", ValueError), (1.5, TypeError)])
def test_unknown_priority_is_refused(given: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        get_priority(given)


def test_training_hooks_stand_in_the_order_of_2x() -> None:
    runner = make(max_epochs=1)
    runner.register_training_hooks(
        dict(policy="step", step=[1]),
        dict(grad_clip=None),
        dict(interval=1),
        dict(interval=1, hooks=[dict(type="TextLoggerHook")]),
        dict(policy="CosineAnnealing", min_momentum=0),
        custom_hooks_config=[dict(type="CheckInvalidLossHook", priority="VERY_LOW")],
    )
    names = [type(hook).__name__ for hook in runner.hooks]
    assert names == [
        "StepLrUpdaterHook",
        "CosineAnnealingMomentumUpdaterHook",
        "OptimizerHook",
        "CheckpointHook",
        "IterTimerHook",
        "TextLoggerHook",
        "CheckInvalidLossHook",
    ]
    assert "(ABOVE_NORMAL) OptimizerHook" in runner.get_hook_info()


def test_triggered_stages_follow_what_a_hook_overrides() -> None:
    class Both(Hook):
        def after_iter(self, runner: Any) -> None:
            pass

    assert Both().get_triggered_stages() == ["after_train_iter", "after_val_iter"]


def test_unknown_policy_names_the_nearest() -> None:
    with pytest.raises(KeyError, match="did you mean 'PolyLrUpdaterHook'"):
        make(max_epochs=1).register_lr_hook(dict(policy="polly"))


def test_nan_loss_names_loss_and_samples(tmp_path: Path) -> None:
    runner = make(folder=tmp_path, max_epochs=1)
    runner.model.weight.data.fill_(float("nan"))
    with pytest.raises(NonFiniteLossError, match=r"iteration 1: loss_line = nan; .*0_0.jpg"):
        runner.run([Numbers()], [("train", 1)])


def test_checkpoints_are_kept_up_to_max_keep(tmp_path: Path) -> None:
    runner = make(folder=tmp_path, max_epochs=4)
    runner.register_checkpoint_hook(dict(interval=1, max_keep_ckpts=2))
    runner.run([Numbers()], [("train", 1)])
    assert sorted(path.name for path in tmp_path.glob("*.pth")) == ["epoch_3.pth", "epoch_4.pth", "latest.pth"]
    assert (tmp_path / "latest.pth").resolve().name == "epoch_4.pth"


def test_checkpoint_out_dir_gets_a_folder_named_like_the_work_dir(tmp_path: Path) -> None:
    runner = make(folder=tmp_path / "run", max_epochs=1)
    runner.register_checkpoint_hook(dict(interval=1, out_dir=str(tmp_path / "elsewhere")))
    runner.run([Numbers()], [("train", 1)])
    assert (tmp_path / "elsewhere" / "run" / "epoch_1.pth").exists()


def test_accumulated_gradients_equal_those_of_one_large_batch(tmp_path: Path) -> None:
    def trained(hook: dict[str, Any], batches: list[list[float]]) -> float:
        runner = make(folder=tmp_path, max_epochs=1)
        runner.register_optimizer_hook(hook)
        runner.run([[{"x": torch.tensor(batch)} for batch in batches]], [("train", 1)])
        return runner.model.weight.item()

    summed = trained(dict(type="GradientCumulativeOptimizerHook", cumulative_iters=2), [[1.0], [2.0], [3.0]])
    assert summed == pytest.approx(trained({}, [[1.0, 2.0], [3.0]]))


def test_json_log_holds_the_keys_of_2x(tmp_path: Path) -> None:
    runner = make(folder=tmp_path, max_epochs=1)
    runner.register_training_hooks(
        None, {}, log_config=dict(interval=2, hooks=[dict(type="TextLoggerHook", ignore_last=False)])
    )
    runner.run([Numbers(3)], [("train", 1)])
    lines = (tmp_path / f"{runner.timestamp}.log.json").read_text().splitlines()
    records = [record for record in map(json.loads, lines) if "mode" in record]
    assert [record["iter"] for record in records] == [2, 3]
    assert {"mode", "epoch", "iter", "lr", "time", "data_time", "loss_line", "loss"} <= set(records[0])


def test_environment_hears_of_every_epoch_with_its_checkpoint(tmp_path: Path) -> None:
    class Listening(LocalEnvironment):
        heard: list[tuple[int, Any]]

        def report(self, metrics: Any, checkpoint: Path | None, evaluate: Any = None) -> None:
            self.heard.append((metrics["epoch"], checkpoint and checkpoint.name))

    runner = make(folder=tmp_path, max_epochs=3)
    runner.environment = Listening(tmp_path, "cpu")
    runner.environment.heard = []
    runner.register_checkpoint_hook(dict(interval=2))
    runner.run([Numbers()], [("train", 1)])
    assert runner.environment.heard == [(1, None), (2, "epoch_2.pth"), (3, "epoch_3.pth")]


@pytest.mark.parametrize("limits", [{}, dict(max_epochs=1, max_iters=1)])
def test_runner_needs_exactly_one_limit(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="give one of max_epochs and max_iters"):
        make(**limits)


@pytest.mark.parametrize("workflow", [[("val", 1)], [("test", 1)], [("train", 0)]])
def test_impossible_workflow_is_refused(workflow: Any) -> None:
    with pytest.raises(ValueError, match="workflow"):
        make(max_epochs=1).run([Numbers()], workflow)


def test_call_through_reaches_the_method_by_way_of_the_wrapper(tmp_path: Path) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1)
    try:
        model = Line()
        wrapped = DistributedDataParallel(model)
        outputs = call_through(wrapped, "train_step", {"x": torch.ones(2)}, None)
        outputs["loss"].backward()
        assert model.weight.grad is not None
        assert model.forward(torch.ones(1)).item() == 1.0
    finally:
        torch.distributed.destroy_process_group()


def test_logged_numbers_of_a_long_run_are_not_kept_for_ever(tmp_path: Path) -> None:
    runner = make(IterBasedRunner, tmp_path, max_iters=2300)
    runner.register_logger_hooks(dict(interval=1100, hooks=[dict(type="TextLoggerHook", by_epoch=False)]))
    sizes: list[int] = []
    look = dict(type="ClosureHook", fn_name="after_train_iter")
    runner.register_hook_from_cfg({**look, "fn": lambda r: sizes.append(len(r.log_buffer.val_history["loss"]))})
    runner.run([Numbers(500)], [("train", 1)])
    assert max(sizes) == 2200
    assert sizes[-1] == 1100 + 100


def test_a_constructor_builds_the_runner_of_a_config() -> None:
    class Eager:
        def __init__(self, runner_cfg: dict[str, Any], default_args: dict[str, Any] | None = None) -> None:
            self.default = DefaultRunnerConstructor({**runner_cfg, "max_epochs": 7}, default_args)

        def __call__(self) -> Any:
            return self.default()

    RUNNER_BUILDERS.register_module(name="Eager", module=Eager, force=True)
    given = dict(model=Line(), environment=LocalEnvironment(".", "cpu"))
    plain = build_runner(dict(type="EpochBasedRunner", max_epochs=2), given)
    eager = build_runner(dict(type="EpochBasedRunner", max_epochs=2, constructor="Eager"), given)
    assert (plain.max_epochs, eager.max_epochs) == (2, 7)
    with pytest.raises(KeyError, match="no runner builder named 'Eagre'; did you mean 'Eager'"):
        build_runner(dict(type="EpochBasedRunner", max_epochs=2, constructor="Eagre"), given)
    with pytest.raises(TypeError, match="runner must be a dict"):
        DefaultRunnerConstructor("EpochBasedRunner")  # type: ignore[arg-type]
