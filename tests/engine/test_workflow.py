"""Runs with phases of validation, also when they are interrupted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from interrupted_runs import Stop, assert_same_run, interrupted, logged, train
from small_runner import Line, Numbers, make

from raydet.config import Config
from raydet.engine import IterBasedRunner
from raydet.engine.workflow import Rounds

WORKFLOW = [("train", 2), ("val", 1)]


@pytest.mark.parametrize(
    ("trained", "begun", "left", "validated"),
    [
        (0, False, [0, 0, 1], 0),
        (0, True, [0, 0, 1], 0),
        (1, False, [0, 1], 0),
        (2, False, [1], 0),
        (2, True, [0, 0, 1], 1),
        (5, False, [0, 1], 2),
    ],
)
def test_position_in_the_rounds(trained: int, begun: bool, left: list[int], validated: int) -> None:
    rounds = Rounds(WORKFLOW, trained, begun)
    assert rounds.done(1) == validated
    assert rounds.next_round() == left
    assert rounds.next_round() == [0, 0, 1]


def test_validation_by_iterations_goes_on_at_its_batch(tmp_path: Path) -> None:
    runner, training, validation = make(IterBasedRunner, tmp_path, max_iters=6), Numbers(3), Numbers(3)
    runner.resume({"meta": {"epoch": 1, "iter": 4}, "state_dict": Line().state_dict()})
    runner.run([training, validation], WORKFLOW)
    assert validation.asked == [(0, 1)]  # one batch was seen before, two come now


RUNS: dict[str, dict[str, Any]] = {
    "epochs": dict(runner=dict(type="EpochBasedRunner", max_epochs=4), checkpoint_config=dict(interval=1)),
    "epochs, in the middle": dict(
        runner=dict(type="EpochBasedRunner", max_epochs=4), checkpoint_config=dict(interval=1, by_epoch=False)
    ),
    "iterations": dict(
        runner=dict(type="IterBasedRunner", max_iters=8), checkpoint_config=dict(interval=1, by_epoch=False)
    ),
}


@pytest.mark.parametrize("at", [3, 4, 5])
@pytest.mark.parametrize("kind", RUNS)
def test_resume_takes_up_validation_where_it_was(
    kind: str, at: int, tmp_path: Path, make_config: Callable[..., Config]
) -> None:
    cfg = make_config(images=4, evaluation=None, workflow=WORKFLOW, **RUNS[kind])
    cfg.log_config.hooks[0].by_epoch = kind != "iterations"
    whole = train(cfg, tmp_path / "whole")
    with pytest.raises(Stop):
        train(interrupted(cfg, at), tmp_path / "work")
    assert_same_run(whole, train(cfg, tmp_path / "work", resume=True))
    numbers = logged(tmp_path / "whole")
    assert logged(tmp_path / "work") == numbers
    assert sum(place[0] == "val" for place in numbers) == (2 if kind != "iterations" else 0)
