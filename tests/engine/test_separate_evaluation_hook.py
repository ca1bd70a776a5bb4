"""A run whose evaluations are made elsewhere: what it asks for, and that it does nothing itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from raydet.config import Config
from raydet.datasets import build_carrier
from raydet.engine import LocalEnvironment, run_training


class Elsewhere(LocalEnvironment):
    """Notes what is to be evaluated."""

    evaluates_elsewhere = True

    def __init__(self, work_dir: Path) -> None:
        super().__init__(work_dir, "cpu")
        self.asked: list[tuple[str, str, bool]] = []

    def report(
        self, metrics: Mapping[str, Any], checkpoint: Path | None, evaluate: Mapping[str, Any] | None = None
    ) -> None:
        if evaluate is not None:
            assert checkpoint is not None
            self.asked.append((evaluate["name"], checkpoint.name, evaluate["at_end"]))


@pytest.mark.parametrize(("interval", "checkpoints"), [(1, 1), (2, 2), (1, 2)])
def test_checkpoints_are_handed_out_and_made_where_none_is_due(
    interval: int, checkpoints: int, make_config: Callable[..., Config], tmp_path: Path
) -> None:
    cfg = make_config(
        images=2,
        evaluation=dict(interval=interval, metric="bbox", save_best="bbox_mAP", separate=True),
        checkpoint_config=dict(interval=checkpoints),
    )
    environment = Elsewhere(tmp_path / "work")
    result = run_training(cfg, environment, build_carrier)
    first = [("epoch_1", "epoch_1.pth", False)] if interval == 1 else []
    assert environment.asked == [*first, ("epoch_2", "epoch_2.pth", True)]
    assert result.metrics == {}
    assert not list((tmp_path / "work").glob("best_*"))


def test_run_without_ray_evaluates_in_line(make_config: Callable[..., Config], tmp_path: Path) -> None:
    cfg = make_config(images=2, evaluation=dict(interval=2, metric="bbox", separate=dict(num_cpus=2)))
    metrics = run_training(cfg, LocalEnvironment(tmp_path / "work", "cpu"), build_carrier).metrics
    assert "bbox_mAP" in metrics


def test_folder_for_best_checkpoints_is_the_run_folder(make_config: Callable[..., Config], tmp_path: Path) -> None:
    cfg = make_config(images=2, evaluation=dict(metric="bbox", separate=True, out_dir=str(tmp_path / "best")))
    with pytest.raises(ValueError, match="separate ones write to the run folder"):
        run_training(cfg, Elsewhere(tmp_path / "work"), build_carrier)
