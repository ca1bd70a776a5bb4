"""What a training process tells of itself."""

import functools

import pytest
from tiny import tiny_config

from raydet.datasets import build_carrier
from raydet.distributed.telemetry import Stopwatch, add_telemetry
from raydet.engine import LocalEnvironment, run_training


@pytest.fixture
def told(coco, tmp_path):
    heard = []
    cfg = tiny_config(*coco, max_epochs=1)
    extend = functools.partial(
        add_telemetry,
        cfg=cfg,
        tell=lambda name, facts: heard.append((name, facts)),
        probes={"gpu": lambda: None, "answer": lambda: 42.0},
    )
    run_training(cfg, LocalEnvironment(tmp_path, "cpu"), build_carrier, extend)
    return heard


def test_telemetry_tells_of_events_in_their_order(told):
    events = [(name, facts["iter"]) for name, facts in told if name != "report"]
    assert events == [("begin", 0), ("first step", 1), ("checkpoint", 12), ("evaluation", 12)]
    assert dict(told)["checkpoint"]["file"] == "epoch_1.pth"
    assert "bbox_mAP" in dict(told)["evaluation"]["metrics"]
    assert dict(told)["begin"]["seed"] == 7


def test_telemetry_reports_numbers_of_the_iterations_since_the_last_report(told):
    reports = [facts for name, facts in told if name == "report"]
    assert [facts["iter"] for facts in reports] == [4, 8, 12]
    assert [facts["iterations"] for facts in reports] == [3, 4, 4]
    last = reports[-1]
    assert last["max_iters"] == 12
    assert last["answer"] == 42.0
    assert "gpu" not in last
    assert last["loss"] == pytest.approx(last["loss_cls"] + last["loss_bbox"], rel=1e-3)
    assert 0 <= last["data_wait"] <= 1
    assert last["samples_per_s"] > 0
    assert last["seconds"]["train"] > 0


def test_stopwatch_gives_each_lap_to_its_phase_once():
    stopwatch = Stopwatch()
    stopwatch.lap("train")
    stopwatch.lap("data")
    taken = stopwatch.take()
    assert set(taken) == {"train", "data", "hooks"}
    assert sum(stopwatch.take().values()) == 0
