from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from raydet.engine.hooks import curves
from raydet.registry import HOOKS


def walk(hook: Any, epochs: int = 3, length: int = 4, optimizer: Any = None) -> list[float]:
    """The learning rate of every iteration of a run."""
    optimizer = optimizer or torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0, momentum=0.9)
    runner = SimpleNamespace(
        optimizer=optimizer, data_loader=range(length), max_epochs=epochs, max_iters=epochs * length, epoch=0, iter=0
    )
    hook.before_run(runner)
    rates = []
    for runner.epoch in range(epochs):
        hook.before_train_epoch(runner)
        for _ in range(length):
            hook.before_train_iter(runner)
            first = next(iter(optimizer.values())) if isinstance(optimizer, dict) else optimizer
            rates.append(first.param_groups[0]["lr"])
            runner.iter += 1
    return rates


@pytest.mark.parametrize(
    ("cfg", "expected"),
    [
        (dict(type="FixedLrUpdaterHook"), [1, 1, 1]),
        (dict(type="StepLrUpdaterHook", step=[1, 2]), [1, 0.1, 0.01]),
        (dict(type="StepLrUpdaterHook", step=1, gamma=0.5), [1, 0.5, 0.25]),
        (dict(type="StepLrUpdaterHook", step=[1, 2], min_lr=0.05), [1, 0.1, 0.05]),
        (dict(type="ExpLrUpdaterHook", gamma=0.5), [1, 0.5, 0.25]),
        (dict(type="InvLrUpdaterHook", gamma=1.0), [1, 1 / 2, 1 / 3]),
        (dict(type="PolyLrUpdaterHook"), [1, 2 / 3, 1 / 3]),
        (dict(type="CosineAnnealingLrUpdaterHook", min_lr=0), [1, 0.75, 0.25]),
        (dict(type="LinearAnnealingLrUpdaterHook", min_lr_ratio=0), [1, 2 / 3, 1 / 3]),
    ],
)
def test_schedule_by_epoch_gives_one_rate_per_epoch(cfg: dict[str, Any], expected: list[float]) -> None:
    assert walk(HOOKS.build(cfg))[::4] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("warmup", "expected"),
    [("constant", [0.1, 0.1, 1, 1]), ("linear", [0.1, 0.55, 1, 1]), ("exp", [0.1, 0.1**0.5, 1, 1])],
)
def test_warm_up_rises_to_the_regular_rate(warmup: str, expected: list[float]) -> None:
    hook = HOOKS.build(dict(type="FixedLrUpdaterHook", warmup=warmup, warmup_iters=2, warmup_ratio=0.1))
    assert walk(hook)[:4] == pytest.approx(expected)


def test_warm_up_by_epoch_counts_epochs() -> None:
    hook = HOOKS.build(
        dict(type="FixedLrUpdaterHook", warmup="linear", warmup_iters=1, warmup_ratio=0.2, warmup_by_epoch=True)
    )
    assert walk(hook)[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


def test_schedule_of_several_optimizers_keeps_their_own_rates() -> None:
    parameter = torch.nn.Parameter(torch.ones(1))
    optimizers = {"a": torch.optim.SGD([parameter], lr=1.0), "b": torch.optim.SGD([parameter], lr=0.5)}
    walk(HOOKS.build(dict(type="StepLrUpdaterHook", step=[1])), epochs=2, optimizer=optimizers)
    assert [o.param_groups[0]["lr"] for o in optimizers.values()] == pytest.approx([0.1, 0.05])


@pytest.mark.parametrize(
    ("cfg", "message"),
    [
        (dict(type="FixedLrUpdaterHook", warmup="sudden", warmup_iters=1), "warmup is 'sudden'"),
        (dict(type="FixedLrUpdaterHook", warmup="linear"), "warmup_iters must be positive"),
        (dict(type="FixedLrUpdaterHook", warmup="linear", warmup_iters=1, warmup_ratio=2), "warmup_ratio"),
        (dict(type="StepLrUpdaterHook", step=0), "step must be positive"),
        (dict(type="CosineAnnealingLrUpdaterHook"), "one of min_lr and min_lr_ratio"),
        (dict(type="CosineRestartLrUpdaterHook", periods=[1, 2], min_lr=0), "differ in length"),
        (dict(type="CyclicLrUpdaterHook", by_epoch=True), "by_epoch must be False"),
    ],
)
def test_schedule_with_an_impossible_setting_is_refused(cfg: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HOOKS.build(cfg)


def test_resumed_schedule_gives_the_rate_of_the_position_without_any_state() -> None:
    hook = HOOKS.build(dict(type="StepLrUpdaterHook", step=[1], warmup="linear", warmup_iters=2))
    group = {"params": [torch.nn.Parameter(torch.ones(1))], "lr": 0.3, "initial_lr": 1.0}
    optimizer = torch.optim.SGD([group], lr=0.3)
    runner = SimpleNamespace(optimizer=optimizer, data_loader=range(4), max_epochs=3, max_iters=12, epoch=1, iter=6)
    hook.before_run(runner)
    hook.before_train_epoch(runner)
    hook.before_train_iter(runner)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.1)


@given(st.floats(0.001, 10), st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=25)
def test_annealing_stays_between_its_ends(start: float, ratio: float, fraction: float) -> None:
    end = start * ratio
    for anneal in (curves.anneal_cos, curves.anneal_linear):
        assert end - 1e-9 <= anneal(start, end, fraction) <= start + 1e-9


@pytest.mark.parametrize(
    ("cfg", "expected"),
    [
        (dict(type="StepLrUpdaterHook", step=[6, 9]), {0: 1, 5: 1, 6: 0.1, 9: 0.01}),
        (dict(type="FlatCosineAnnealingLrUpdaterHook", start_percent=0.5, min_lr=0), {0: 1, 6: 1, 9: 0.5}),
        (
            dict(type="CosineRestartLrUpdaterHook", periods=[4, 8], restart_weights=[1, 0.5], min_lr=0),
            {0: 1, 2: 0.5, 4: 0.5, 8: 0.25},
        ),
        (dict(type="CyclicLrUpdaterHook"), {0: 1, 2: 5.5, 4: 10, 8: 5.00005}),
        (dict(type="CyclicLrUpdaterHook", cyclic_times=3, target_ratio=(3, 1), step_ratio_up=0.5), {2: 3, 4: 1, 6: 3}),
        (
            dict(
                type="YOLOXLrUpdaterHook",
                num_last_epochs=1,
                min_lr_ratio=0.05,
                warmup="exp",
                warmup_iters=2,
                warmup_ratio=1,
            ),
            {0: 0.25, 1: 1, 7: 0.05, 11: 0.05},
        ),
    ],
    ids=lambda value: value.get("type", ""),
)
def test_schedule_by_iteration_passes_through_known_points(cfg: dict[str, Any], expected: dict[int, float]) -> None:
    rates = walk(HOOKS.build({**cfg, "by_epoch": False}))
    assert {at: rates[at] for at in expected} == pytest.approx(expected)


@pytest.mark.parametrize("three_phase", [False, True])
def test_one_cycle_is_that_of_torch(three_phase: bool) -> None:
    optimizer, other = (torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0, momentum=0.9) for _ in range(2))
    ours = walk(HOOKS.build(dict(type="OneCycleLrUpdaterHook", max_lr=2.0, three_phase=three_phase)), 5, 4, optimizer)
    schedule = torch.optim.lr_scheduler.OneCycleLR(other, max_lr=2.0, total_steps=20, three_phase=three_phase)
    theirs, momenta = [], []
    for _ in range(20):
        theirs.append(other.param_groups[0]["lr"])
        momenta.append(other.param_groups[0]["momentum"])
        other.step()
        schedule.step() if len(theirs) < 20 else None
    assert ours == pytest.approx(theirs)
    momentum = HOOKS.build(dict(type="OneCycleMomentumUpdaterHook", three_phase=three_phase))
    group = optimizer.param_groups[0]
    runner = SimpleNamespace(optimizer=optimizer, data_loader=range(4), max_epochs=5, max_iters=20, epoch=0, iter=0)
    momentum.before_run(runner)
    for runner.iter, wanted in enumerate(momenta):
        momentum.before_train_iter(runner)
        assert group["momentum"] == pytest.approx(wanted)
