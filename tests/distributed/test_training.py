"""Whole runs on a local Ray cluster: results, restarts, resuming, refusals."""

import json
import time

import pytest
import torch
from tiny import tiny_config

from raydet.checkpoint import load
from raydet.distributed import train

pytestmark = pytest.mark.ray


def parameters(result):
    assert result.checkpoint is not None
    return load(result.checkpoint)["state_dict"]


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # workers of one CPU have one, and sums depend on it
    yield
    torch.set_num_threads(threads)


def killing(tmp_path, at, **more):
    hook = {"type": "KillOnce", "at": at, "marker": str(tmp_path / "killed"), **more}
    return {
        "custom_imports": {"imports": ["kill_hook"], "allow_failed_imports": False},
        "custom_hooks": [hook],
        "checkpoint_config": {"interval": 5, "by_epoch": False},
    }


def test_train_with_two_workers_ends_with_evaluation(ray_cluster, coco, tmp_path):
    lines = []
    result = train(tiny_config(*coco), num_workers=2, storage=str(tmp_path), say=lines.append)
    assert 0 <= result.metrics["bbox_mAP"] <= 1
    assert list(result.startup)[-1] == "first step"
    names = {path.name for path in result.work_dir.iterdir()}
    assert {"config.py", "epoch_1.pth", "epoch_2.pth", "latest.pth"} <= names
    log = next(result.work_dir.glob("*.log.json")).read_text().splitlines()
    steps = [json.loads(line) for line in log if '"mode": "train"' in line]
    assert [(step["epoch"], step["iter"]) for step in steps] == [(1, 4), (2, 4)]
    assert any("2 workers of 0.5 CPU, each with 1 data actor of 0.5 CPU" in line for line in lines)


def test_train_with_killed_worker_gives_parameters_of_local_run(ray_cluster, coco, tmp_path, one_thread):
    calm = train(tiny_config(*coco), local=True, storage=str(tmp_path), name="calm")
    cfg = tiny_config(*coco, **killing(tmp_path, at=18))
    shaken = train(cfg, storage=str(tmp_path), name="shaken", say=lambda _: None)
    assert (tmp_path / "killed").exists()
    assert same(parameters(calm), parameters(shaken))
    assert shaken.metrics == calm.metrics


@pytest.mark.slow
def test_train_with_one_of_two_workers_killed_gives_parameters_of_calm_run(ray_cluster, coco, tmp_path):
    calm = train(tiny_config(*coco), num_workers=2, storage=str(tmp_path), name="calm")
    cfg = tiny_config(*coco, **killing(tmp_path, at=8, rank=1))
    shaken = train(cfg, num_workers=2, storage=str(tmp_path), name="shaken")
    assert (tmp_path / "killed").exists()
    assert same(parameters(calm), parameters(shaken))


@pytest.mark.slow
def test_train_with_resume_goes_on_where_a_shorter_run_ended(ray_cluster, coco, tmp_path, one_thread):
    calm = train(tiny_config(*coco, max_epochs=2), local=True, storage=str(tmp_path), name="calm")
    train(tiny_config(*coco, max_epochs=1), storage=str(tmp_path), name="run", carrier="torch")
    with pytest.raises(ValueError, match="already holds a run"):
        train(tiny_config(*coco), storage=str(tmp_path), name="run")
    longer = train(tiny_config(*coco, max_epochs=2), storage=str(tmp_path), name="run", resume=True)
    assert same(parameters(calm), parameters(longer))


def test_train_with_wrong_data_path_names_it_without_restarts(ray_cluster, coco, tmp_path):
    cfg = tiny_config(str(tmp_path / "absent.json"), coco[1])
    began = time.monotonic()
    with pytest.raises(FileNotFoundError, match=r"absent\.json"):
        train(cfg, storage=str(tmp_path), say=lambda _: None)
    assert time.monotonic() - began < 60


def test_train_with_impossible_resources_answers_at_once(ray_cluster, coco, tmp_path):
    began = time.monotonic()
    with pytest.raises(ValueError, match=r"needs 2 workers of 64 CPU.*at most 2 CPU.*Lower num_workers"):
        train(tiny_config(*coco), num_workers=2, resources_per_worker={"CPU": 64}, storage=str(tmp_path))
    assert time.monotonic() - began < 10


def test_train_with_unknown_type_in_config_says_so_before_workers_start(ray_cluster, coco, tmp_path):
    cfg = tiny_config(*coco)
    cfg.model.neck.type = "FPNN"
    with pytest.raises(ValueError, match="did you mean 'FPN'"):
        train(cfg, storage=str(tmp_path))


def test_train_locally_with_several_workers_refuses(coco, tmp_path):
    with pytest.raises(ValueError, match="num_workers=2"):
        train(tiny_config(*coco), local=True, num_workers=2, storage=str(tmp_path))


def test_train_with_unknown_carrier_refuses(coco):
    with pytest.raises(ValueError, match="carrier must be one of"):
        train(tiny_config(*coco), carrier="dask")
