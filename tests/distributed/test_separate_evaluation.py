"""Evaluations in tasks of their own, while the workers train."""

import json
import time
from itertools import pairwise

import pyarrow.fs as pafs
import pytest
import torch
from away import away
from pace_hook import steps
from tiny import tiny_config

from raydet.checkpoint import check_sidecar, load, save_checkpoint
from raydet.distributed import train
from raydet.distributed.best import keep_best
from raydet.distributed.evaluation import SeparateEvaluation, Waiting, last_metrics, records
from raydet.distributed.evaluation_task import EvaluationTask, evaluate_checkpoint
from raydet.distributed.resources import Capacity, NodeGroup
from raydet.distributed.storage import RunFolder


@pytest.fixture(params=["disk", "object storage"])
def folder(request, tmp_path):
    (tmp_path / "a").mkdir()
    filesystem = pafs.LocalFileSystem() if request.param == "disk" else away(tmp_path)
    root = str(tmp_path) if request.param == "disk" else ""
    return RunFolder(filesystem, root, "a", "runs")


def evaluated(folder, tmp_path, number, **metrics):
    """A checkpoint in the run folder with the record of its evaluation."""
    name, checkpoint = f"epoch_{number}", f"checkpoint_{number}"
    save_checkpoint(torch.nn.Linear(1, 1), tmp_path / "a" / checkpoint / f"{name}.pth")
    record = {"name": name, "epoch": number, "iter": number, "checkpoint": checkpoint, "metrics": metrics}
    folder.write(f"evaluations/{name}.json", json.dumps(record))
    return record


def test_best_checkpoints_are_kept_in_the_run_folder(folder, tmp_path):
    section = {"save_best": "auto", "keep_best": 2}
    for number, score in enumerate((0.2, 0.5, 0.1, 0.5), start=1):
        told = keep_best(folder, section, evaluated(folder, tmp_path, number, mAP=score), records(folder))
        assert told == (None if number == 3 else f"best mAP is {max(0.2, score):.4f} at epoch_{min(number, 2)}")
    kept = sorted(path.name for path in (tmp_path / "a").glob("best_*"))
    assert kept == [f"best_mAP_epoch_{number}.pth{ending}" for number in (2, 4) for ending in ("", ".sha256")]
    check_sidecar(tmp_path / "a" / "best_mAP_epoch_4.pth")
    assert last_metrics(folder) == {"mAP": 0.5}


def test_evaluation_without_save_best_keeps_nothing(folder, tmp_path):
    assert keep_best(folder, {}, evaluated(folder, tmp_path, 1, mAP=1.0), records(folder)) is None


def test_failing_evaluation_is_tried_again_then_given_up(tmp_path, monkeypatch):
    tries, lines = [], []
    monkeypatch.setattr(EvaluationTask, "_say", lambda self, line: lines.append(line))
    monkeypatch.setattr(EvaluationTask, "_evaluate", lambda self, checkpoint: tries.append(1) or 1 / 0)
    run = RunFolder(pafs.LocalFileSystem(), str(tmp_path), "a", "runs")
    task = EvaluationTask({}, run, None, retries=1)
    assert task(run_checkpoint(tmp_path), name="epoch_1", epoch=1, iter=4, at_end=False) == {}
    assert len(tries) == 2
    assert "it is tried again" in lines[0]
    assert "it is given up, and training goes on" in lines[1]
    assert records(run)[0]["error"] == "ZeroDivisionError: division by zero"
    assert last_metrics(run) == {}


def test_task_gives_the_numbers_of_an_evaluation_in_line(coco, tmp_path, monkeypatch):
    cfg = tiny_config(*coco, max_epochs=1, evaluation={"metric": "bbox", "save_best": "bbox_mAP"})
    inline = train(cfg, local=True, storage=str(tmp_path), name="a")
    run = RunFolder(pafs.LocalFileSystem(), str(tmp_path), "a", "runs")
    (inline.work_dir / "checkpoint_1").mkdir()
    for ending in ("", ".sha256"):
        (inline.work_dir / f"epoch_1.pth{ending}").rename(inline.work_dir / "checkpoint_1" / f"epoch_1.pth{ending}")
    best = next(inline.work_dir.glob("best_*.pth"))
    content = best.read_bytes()
    best.unlink()
    monkeypatch.setattr(EvaluationTask, "_evaluate", lambda self, name: evaluate_checkpoint(cfg, run, name))
    task = EvaluationTask(cfg, run, None, retries=0)
    found = task(run_checkpoint(inline.work_dir), name="epoch_1", epoch=1, iter=12, at_end=True)
    numbers = {name: value for name, value in inline.metrics.items() if not isinstance(value, str)}
    assert found == pytest.approx(numbers)
    assert records(run)[0]["metrics"] == pytest.approx(inline.metrics)
    assert len(best.read_bytes()) == pytest.approx(len(content), rel=0.01)


def run_checkpoint(folder):
    from ray.train import Checkpoint

    return Checkpoint(str(folder / "checkpoint_1"))


def test_what_waits_is_known_without_asking_the_storage(folder):
    waiting = Waiting(folder, interval=0.01)
    waiting.add("epoch_1")
    waiting.add("epoch_2")
    folder.write("evaluations/epoch_1.json", "{}")
    for _ in range(500):
        if waiting.names() == ["epoch_2"]:
            break
        time.sleep(0.01)
    waiting.close()
    assert waiting.names() == ["epoch_2"]


@pytest.mark.parametrize("wrong", [3, {"cpus": 1}])
def test_wrong_setting_names_the_right_ones(wrong):
    with pytest.raises(TypeError, match=r"evaluation.separate is .*num_cpus.*queue"):
        SeparateEvaluation.of({"evaluation": {"separate": wrong}, "data": {"val": {}}})


def test_task_takes_a_gpu_where_the_workers_have_some():
    section = {"evaluation": {"separate": {"num_cpus": 2}}, "data": {"val": {}}}
    evaluation = SeparateEvaluation.of(section)
    assert evaluation.resources(use_gpu=True) == {"CPU": 2.0, "GPU": 1.0}
    assert evaluation.resources(use_gpu=False) == {"CPU": 2.0}
    assert SeparateEvaluation.of({"evaluation": {"separate": True}, "data": {}}) is None


def test_resources_of_the_task_are_left_out_of_the_plan_for_the_workers():
    cluster = Capacity([NodeGroup({"CPU": 4.0}, count=2)])
    assert cluster.without({"CPU": 1.0}).total("CPU") == 7
    assert cluster.without({"CPU": 1.0}).slots({"CPU": 4.0}) == 1
    assert cluster.without({"GPU": 1.0}) is cluster


@pytest.mark.ray
@pytest.mark.slow
def test_separate_evaluation_gives_the_numbers_of_one_in_line_and_training_does_not_wait(ray_cluster, coco, tmp_path):
    def config(name, **evaluation):
        return tiny_config(
            *coco,
            max_epochs=3,
            evaluation={"interval": 1, "metric": "bbox", "save_best": "bbox_mAP", **evaluation},
            custom_imports={"imports": ["pace_hook"], "allow_failed_imports": False},
            custom_hooks=[{"type": "PaceHook", "path": str(tmp_path / name), "seconds": 0.2}],
        )

    options = {"storage": str(tmp_path), "carrier": "torch", "resources_per_worker": {"CPU": 1}}
    inline = train(config("steps_inline"), name="inline", **options)
    separate = train(config("steps_separate", separate=True), name="separate", **options)
    assert separate.metrics == pytest.approx(inline.metrics)
    found = records(RunFolder(pafs.LocalFileSystem(), str(tmp_path), "separate", ""))
    assert [record["name"] for record in found] == ["epoch_1", "epoch_2", "epoch_3"]
    best = {path.name for path in separate.work_dir.glob("best_*.pth")}
    assert best == {path.name for path in inline.work_dir.glob("best_*.pth")}
    one, other = (load(work / next(iter(best)))["state_dict"] for work in (separate.work_dir, inline.work_dir))
    assert all(torch.equal(one[key], other[key]) for key in one)
    lines = (separate.work_dir / "metrics.jsonl").read_text().splitlines()
    assert sum('"mode": "val"' in line for line in lines) == 3
    at = steps(tmp_path / "steps_separate")
    longest = max(later - earlier for earlier, later in pairwise(at))
    shortest_evaluation = min(record["seconds"] for record in found)
    assert longest < max(shortest_evaluation, 3.0)


@pytest.mark.ray
@pytest.mark.slow
def test_killed_evaluation_is_made_again_and_the_run_goes_on(ray_cluster, coco, tmp_path):
    cfg = tiny_config(
        *coco,
        evaluation={"interval": 2, "metric": "bbox", "separate": {"retries": 1}},
        custom_imports={"imports": ["kill_hook"], "allow_failed_imports": False},
    )
    cfg.data.val.type = "DeadlyDataset"
    cfg.data.val.marker = str(tmp_path / "killed")
    result = train(cfg, storage=str(tmp_path), name="a", carrier="torch", resources_per_worker={"CPU": 1})
    assert (tmp_path / "killed").exists()
    assert "bbox_mAP" in result.metrics
