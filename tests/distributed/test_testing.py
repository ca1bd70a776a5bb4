"""Tests on a local Ray cluster have the numbers of a test in one process."""

from __future__ import annotations

import json

import pytest
from tiny import tiny_config

from raydet import distributed
from raydet.distributed import train
from raydet.engine.testing import evaluate_detector

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def trained(coco, tmp_path_factory):
    """A config, and a checkpoint that finds something."""
    cfg = tiny_config(*coco, max_epochs=3, evaluation=None)
    cfg.merge_from_dict({"optimizer.lr": 0.003, "model.test_cfg.score_thr": 0.001, "checkpoint_config.interval": 3})
    folder = tmp_path_factory.mktemp("trained")
    return cfg, train(cfg, local=True, storage=str(folder), name="run").checkpoint


@pytest.mark.parametrize(("num_workers", "carrier"), [(1, "torch"), (2, "ray")])
def test_workers_measure_as_one_process_does(ray_cluster, trained, tmp_path, num_workers, carrier):
    cfg, checkpoint = trained
    asked = {"eval_metrics": ["bbox", "proposal"], "eval_options": {"classwise": True}}
    alone = evaluate_detector(cfg, checkpoint, work_dir=tmp_path / "alone", device="cpu", **asked)
    lines = []
    options = {"num_workers": num_workers, "carrier": carrier, "work_dir": tmp_path / "work", "say": lines.append}
    metrics = distributed.test(cfg, checkpoint, **options, **asked)
    assert metrics == alone
    assert metrics["AR@1000"] > 0
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["eval.json"]
    assert json.loads((tmp_path / "work" / "eval.json").read_text()) == alone
    assert f"{num_workers} worker" in lines[0]


@pytest.mark.slow
def test_workers_bring_results_together_for_a_file(ray_cluster, trained, tmp_path, monkeypatch):
    cfg, checkpoint = trained
    monkeypatch.chdir(tmp_path)
    alone = evaluate_detector(cfg, checkpoint, work_dir="alone", device="cpu", out="alone.json")
    options = {"num_workers": 2, "work_dir": "work", "say": lambda _: None}
    assert distributed.test(cfg, checkpoint, out="two.json", **options) == alone
    assert json.loads((tmp_path / "two.json").read_text()) == json.loads((tmp_path / "alone.json").read_text())


def test_a_missing_checkpoint_is_named_at_once(coco, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.pth"):
        distributed.test(tiny_config(*coco), tmp_path / "absent.pth", work_dir=tmp_path / "w", say=lambda _: None)
