"""Going on late in a run takes no more work than going on early."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from interrupted_runs import BY_ITERATION, Stop, interrupted, train

from raydet.checkpoint import load
from raydet.config import Config
from raydet.datasets import BatchReader, order
from raydet.datasets.plan import ENDLESS_EPOCHS

IMAGES, BATCHES, EARLY, LATE = 4, 2, 10, 100_000
RUNNERS = {
    "epochs": dict(type="EpochBasedRunner", max_epochs=LATE),
    "iterations": dict(type="IterBasedRunner", max_iters=BATCHES * LATE),
}


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Counts batches that are read and samples that are shuffled."""
    counts = {"batches": 0, "shuffled": 0}
    read, shuffle = BatchReader.__getitem__, order.permutation

    def counted_read(self: Any, draws: Any) -> Any:
        counts["batches"] += 1
        return read(self, draws)

    def counted_shuffle(count: int, generator: torch.Generator) -> Any:
        counts["shuffled"] += count
        return shuffle(count, generator)

    monkeypatch.setattr(BatchReader, "__getitem__", counted_read)
    monkeypatch.setattr(order, "permutation", counted_shuffle)
    return counts


def moved(checkpoint: Path, iteration: int) -> str:
    """A copy of a checkpoint that says it was made at another iteration."""
    content = load(checkpoint)
    epoch, batch = divmod(iteration, BATCHES)
    position = dict(epoch=epoch, iter=iteration, batch=batch)
    content["meta"].update(epoch=epoch, iter=iteration)
    content["meta"]["raydet"].update(position)
    path = checkpoint.with_name(f"moved_{iteration}.pth")
    torch.save(content, path)
    return str(path)


@pytest.mark.parametrize("runner", RUNNERS)
def test_resume_at_a_late_iteration_reads_no_more_than_at_an_early_one(
    runner: str, work: dict[str, int], tmp_path: Path, make_config: Callable[..., Config]
) -> None:
    cfg = make_config(images=IMAGES, **BY_ITERATION, runner=RUNNERS[runner])
    with pytest.raises(Stop):
        train(interrupted(cfg, 1), tmp_path / "begin")
    done = {}
    for iteration in (EARLY, LATE):
        cfg.resume_from = moved(tmp_path / "begin" / "iter_1.pth", iteration)
        work.update(batches=0, shuffled=0)
        with pytest.raises(Stop):
            train(interrupted(cfg, iteration + 1), tmp_path / str(iteration))
        done[iteration] = dict(work)
        assert (tmp_path / str(iteration) / f"iter_{iteration + 1}.pth").exists()
    assert done[EARLY]["batches"] == done[LATE]["batches"] == BATCHES
    most = done[EARLY]["shuffled"] if runner == "epochs" else (ENDLESS_EPOCHS + 3) * IMAGES
    assert done[LATE]["shuffled"] <= most
