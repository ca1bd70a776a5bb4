"""A run that its environment ends in the middle goes on as if nothing had been."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from interrupted_runs import assert_same_run, train
from resumable import retinanet

from raydet.datasets import build_carrier
from raydet.engine import LocalEnvironment, run_training
from raydet.engine.interruption import FILE, Interrupted


class ImpatientEnvironment(LocalEnvironment):
    """Asks a run to end after some iterations."""

    def __init__(self, work_dir: Path, after: int) -> None:
        super().__init__(work_dir, "cpu", resume=True)
        self.left = after
        self.reports: list[Any] = []

    def interruption(self, iteration: int) -> str | None:
        self.left -= 1
        return "the node goes" if self.left == 0 else None

    def report(self, metrics: Any, checkpoint: Path | None, evaluate: Any = None) -> None:
        self.reports.append((metrics["iter"], checkpoint and checkpoint.name))


@pytest.mark.parametrize("after", [1, 2, 3])  # at 2 an epoch is over but for its hooks
def test_interrupted_run_saves_reports_and_goes_on_exactly(after: int, tmp_path: Path) -> None:
    cfg = retinanet(tmp_path, interval=8, runner=dict(type="EpochBasedRunner", max_epochs=2))
    whole = train(cfg, tmp_path / "whole")
    environment = ImpatientEnvironment(tmp_path / "work", after)
    with pytest.raises(Interrupted, match=f"the node goes after iteration {after}"):
        run_training(cfg, environment, build_carrier)
    assert environment.reports[-1] == (after, FILE)
    assert (tmp_path / "work" / "latest.pth").resolve().name == FILE
    assert_same_run(whole, train(cfg, tmp_path / "work", resume=True))


def test_run_at_its_end_is_not_interrupted(tmp_path: Path) -> None:
    cfg = retinanet(tmp_path, interval=8, runner=dict(type="EpochBasedRunner", max_epochs=1))
    run_training(cfg, ImpatientEnvironment(tmp_path / "work", 2), build_carrier)
    assert not (tmp_path / "work" / FILE).exists()
