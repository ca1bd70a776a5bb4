"""A run whose number of processes changes in the middle keeps its batch, or its learning rate per sample."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from elastic_runs import alone, one_of, seen

from raydet.checkpoint import load
from raydet.engine.elastic import ElasticBatch

KEEP = dict(batch="keep", workers=2)
LAST = "iter_6.pth"


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def two(folder: Path, elastic: dict[str, Any], **stops: int | None) -> None:
    """Runs of two processes by name, and where each stops."""
    for work in stops:
        (folder / work).mkdir(exist_ok=True)
    torch.multiprocessing.spawn(one_of, (2, str(folder), elastic, stops), nprocs=2)


def assert_close(one: Path, other: Path) -> None:
    one_run, other_run = load(one), load(other)
    for part in ("epoch", "iter", "batch"):
        assert one_run["meta"]["raydet"][part] == other_run["meta"]["raydet"][part]
    for key, value in one_run["state_dict"].items():
        torch.testing.assert_close(value, other_run["state_dict"][key], rtol=1e-4, atol=1e-6, msg=key)


def by_iteration(folder: Path) -> dict[int, list[str]]:
    names: dict[int, list[str]] = {}
    for record in seen(folder):
        names.setdefault(record["iter"], []).extend(record["names"])
    return {number: sorted(each) for number, each in names.items()}


def test_keep_shrinks_in_mid_epoch_with_the_same_batches_and_weights(tmp_path: Path) -> None:
    two(tmp_path, KEEP, whole=None, work=2)
    alone(tmp_path, "work", KEEP)
    assert by_iteration(tmp_path / "work") == by_iteration(tmp_path / "whole")
    assert_close(tmp_path / "whole" / LAST, tmp_path / "work" / LAST)


@pytest.mark.slow
def test_keep_grows_in_mid_epoch_with_the_same_batches_and_weights(tmp_path: Path) -> None:
    alone(tmp_path, "whole", KEEP)
    alone(tmp_path, "work", KEEP, stop=1)
    two(tmp_path, KEEP, work=None)
    assert by_iteration(tmp_path / "work") == by_iteration(tmp_path / "whole")
    assert_close(tmp_path / "whole" / LAST, tmp_path / "work" / LAST)


@pytest.mark.slow
def test_keep_of_three_ranks_on_two_processes_equals_one(tmp_path: Path) -> None:
    three = dict(batch="keep", workers=3)
    alone(tmp_path, "one", three)
    two(tmp_path, three, two=None)
    last = "iter_4.pth"
    assert_close(tmp_path / "one" / last, tmp_path / "two" / last)


def test_scale_lr_shrinks_in_mid_epoch_without_showing_a_sample_twice(tmp_path: Path) -> None:
    elastic = dict(batch="scale_lr", workers=2)
    two(tmp_path, elastic, work=2)
    alone(tmp_path, "work", elastic)
    shown: dict[int, Counter[str]] = {}
    for record in seen(tmp_path / "work"):
        shown.setdefault(record["epoch"], Counter()).update(record["names"])
    assert {epoch: (len(names), set(names.values())) for epoch, names in shown.items()} == {0: (12, {1}), 1: (12, {1})}
    rates = [record["lr"] for record in seen(tmp_path / "work")]
    assert rates == pytest.approx([0.01] * 4 + [0.005] * 8)
    state = load(tmp_path / "work" / "iter_12.pth")["meta"]["raydet"]
    assert (state["epoch"], state["iter"], state["ranks"], state["lr_factor"]) == (1, 12, 1, 0.5)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (dict(batch="double"), "elastic.batch is 'double', expected one of 'keep', 'scale_lr'"),
        (dict(lr="scale"), "elastic.lr is no setting"),
        (dict(workers=0), "elastic.workers is 0"),
        (dict(workers=1), r"divides the batch of elastic.workers=1 processes, and this run has 2"),
    ],
)
def test_impossible_sections_are_refused(section: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ElasticBatch.of({"elastic": section}, 2)


def test_runs_that_count_iterations_cannot_scale(tmp_path: Path) -> None:
    state = dict(epoch=0, iter=3, batch=3, stage=None, world_size=2, ranks=2, cuts=[])
    checkpoint = {"meta": {"raydet": state}}
    cfg = dict(runner=dict(type="IterBasedRunner"), data={}, elastic=dict(batch="scale_lr", workers=2))
    with pytest.raises(ValueError, match="counts iterations, or does not shuffle, cannot go on with 1"):
        ElasticBatch.of(cfg, 1).take_over(checkpoint, cfg, [0] * 8, 0, logging.getLogger("raydet_test_elastic"))
