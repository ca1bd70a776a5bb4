"""Trackers of experiments, against stand-ins that remember what their packages were asked."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from small_runner import Numbers, make

from raydet.engine.hooks.wandb import box_data, flatten_result
from raydet.registry import HOOKS

TRACKERS = {
    "WandbLoggerHook": "wandb",
    "MMDetWandbHook": "wandb",
    "MlflowLoggerHook": "mlflow",
    "NeptuneLoggerHook": "neptune",
    "ClearMLLoggerHook": "clearml",
    "DvcliveLoggerHook": "dvclive",
    "SegmindLoggerHook": "segmind",
    "PaviLoggerHook": "pavi",
}


class Recorder:
    """Takes every call, on itself or on what its calls return, and writes it down under its dotted name."""

    def __init__(self, calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]], name: str = "") -> None:
        self.calls, self.name = calls, name

    def __getattr__(self, name: str) -> Recorder:
        if name.startswith("__"):
            raise AttributeError(name)
        return Recorder(self.calls, f"{self.name}.{name}".lstrip("."))

    def __getitem__(self, name: str) -> Recorder:
        return Recorder(self.calls, f"{self.name}[{name}]")

    def __call__(self, *args: Any, **kwargs: Any) -> Recorder:
        self.calls.append((self.name, args, kwargs))
        return Recorder(self.calls, f"{self.name}()")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[Any, ...], dict[str, Any]]]:
    found: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
    for name in {*TRACKERS.values(), "mlflow.pytorch", "segmind.tracking.fluent", "segmind.tracking"}:
        module = ModuleType(name)
        module.__getattr__ = Recorder(found, name).__getattr__  # type: ignore[method-assign]
        module.__path__ = []  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, name, module)
    return found


def run_with(hook: dict[str, Any], folder: Path, count: int = 2) -> Any:
    runner = make(folder=folder, max_epochs=1)
    runner.register_timer_hook(dict(type="IterTimerHook"))
    runner.register_logger_hooks(dict(interval=1, hooks=[hook]))
    runner.run([Numbers(count)], [("train", 1)])
    return runner


def named(calls: list[Any], name: str) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    return [(args, kwargs) for call, args, kwargs in calls if call == name]


@pytest.mark.parametrize("hook", TRACKERS)
def test_a_missing_package_is_named_when_the_hook_is_built(hook: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, TRACKERS[hook], None)
    with pytest.raises(ImportError, match=f"{hook} needs the package {TRACKERS[hook]}: pip install {TRACKERS[hook]}"):
        HOOKS.build(dict(type=hook))


def test_wandb_gets_every_record_and_the_log_files(calls: Any, tmp_path: Path) -> None:
    (tmp_path / "run.log").write_text("text")
    run_with(dict(type="WandbLoggerHook", init_kwargs=dict(project="p"), define_metric_cfg={"loss": "min"}), tmp_path)
    assert named(calls, "wandb.init") == [((), {"project": "p"})]
    assert named(calls, "wandb.define_metric") == [(("loss",), {"summary": "min"})]
    records = named(calls, "wandb.log")
    assert [kwargs for _, kwargs in records] == [{"step": 1, "commit": True}, {"step": 2, "commit": True}]
    assert records[1][0][0]["learning_rate"] == 0.1
    assert named(calls, "wandb.Artifact().add_file") == [((str(tmp_path / "run.log"),), {})]
    assert calls[-1][0] == "wandb.finish"


def test_mlflow_gets_metrics_by_step_and_the_model(calls: Any, tmp_path: Path) -> None:
    run_with(dict(type="MlflowLoggerHook", exp_name="e", params=dict(a=1)), tmp_path)
    assert named(calls, "mlflow.set_experiment") == [(("e",), {})]
    assert named(calls, "mlflow.log_params") == [(({"a": 1},), {})]
    assert [kwargs["step"] for _, kwargs in named(calls, "mlflow.log_metrics")] == [1, 2]
    assert named(calls, "mlflow.pytorch.log_model")[0][0][1] == "models"


def test_neptune_appends_by_step_or_logs_the_step(calls: Any, tmp_path: Path) -> None:
    run_with(dict(type="NeptuneLoggerHook"), tmp_path)
    steps = [kwargs for name, _, kwargs in calls if "[learning_rate]" in name]
    assert steps == [{"step": 1}, {"step": 2}]
    calls.clear()
    run_with(dict(type="NeptuneLoggerHook", with_step=False), tmp_path)
    assert [args for name, args, _ in calls if "[global_step]" in name] == [(1,), (2,)]


def test_clearml_dvclive_segmind_and_pavi_get_every_record(calls: Any, tmp_path: Path) -> None:
    run_with(dict(type="ClearMLLoggerHook"), tmp_path)
    reported = named(calls, "clearml.Task.init().get_logger().report_scalar")
    assert ("learning_rate", "learning_rate", 0.1, 2) in [args for args, _ in reported]
    run_with(dict(type="DvcliveLoggerHook", model_file=str(tmp_path / "model.pth")), tmp_path)
    assert (("learning_rate", 0.1), {}) in named(calls, "dvclive.Live().log_metric")
    assert (tmp_path / "model.pth").exists()
    run_with(dict(type="SegmindLoggerHook"), tmp_path)
    assert len(named(calls, "segmind.tracking.fluent.log_metrics")) == 2
    run_with(dict(type="PaviLoggerHook"), tmp_path)
    assert [args[2] for args, _ in named(calls, "pavi.SummaryWriter().add_scalars")] == [1, 2]


def test_other_ranks_stay_silent(calls: Any, tmp_path: Path) -> None:
    runner = make(folder=tmp_path, max_epochs=1)
    runner.rank = 1
    hooks = [dict(type=name) for name in ("WandbLoggerHook", "MlflowLoggerHook", "NeptuneLoggerHook", "PaviLoggerHook")]
    runner.register_logger_hooks(dict(interval=1, hooks=hooks))
    runner.run([Numbers(2)], [("train", 1)])
    assert calls == []


def test_mmdet_wandb_takes_the_arguments_of_the_plain_hook(calls: Any, tmp_path: Path) -> None:
    (tmp_path / "run.log").write_text("text")
    run_with(dict(type="MMDetWandbHook", with_step=False, define_metric_cfg={"loss": "min"}), tmp_path)
    assert named(calls, "wandb.define_metric") == [(("loss",), {"summary": "min"})]
    assert named(calls, "wandb.log")[-1][0][0]["global_step"] == 2
    assert named(calls, "wandb.Artifact().add_file") == [((str(tmp_path / "run.log"),), {})]


def test_dvclive_gets_arguments_of_its_own(calls: Any, tmp_path: Path) -> None:
    run_with(dict(type="DvcliveLoggerHook", dir="live", interval=1), tmp_path)
    assert named(calls, "dvclive.Live") == [((), {"dir": "live"})]


def test_mmdet_wandb_stores_new_checkpoints_once(calls: Any, tmp_path: Path) -> None:
    runner = make(folder=tmp_path, max_epochs=2)
    runner.register_checkpoint_hook(dict(interval=1))
    runner.register_logger_hooks(dict(interval=1, hooks=[dict(type="MMDetWandbHook", log_checkpoint=True)]))
    runner.run([Numbers(2)], [("train", 1)])
    files = [Path(args[0]).name for args, _ in named(calls, "wandb.Artifact().add_file")]
    assert files == ["epoch_1.pth", "epoch_2.pth"]


def test_results_of_boxes_and_masks_become_boxes_that_wandb_shows() -> None:
    boxes = [np.zeros((0, 5), np.float32), np.array([[1, 2, 3, 4, 0.5]], np.float32)]
    for result in (boxes, (boxes, [[], ["mask"]]), dict(ins_results=boxes)):
        found, labels = flatten_result(result)
        assert labels.tolist() == [1]
        assert found.shape == (1, 5)
    data = box_data(found[:, :4], labels, found[:, 4], {0: "a", 1: "b"})
    assert data["box_data"][0]["position"] == {"minX": 1.0, "minY": 2.0, "maxX": 3.0, "maxY": 4.0}
    assert data["box_data"][0]["scores"] == {"confidence": 0.5}


def test_mmdet_wandb_shows_predictions_above_the_threshold(calls: Any, tmp_path: Path) -> None:
    import cv2

    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((4, 4, 3), np.uint8))
    truth = {"bboxes": np.array([[0, 0, 2, 2.0]]), "labels": np.array([0])}
    dataset = SimpleNamespace(
        CLASSES=("tree",), data_infos=[{"filename": "a.png"}], img_prefix=str(tmp_path), get_ann_info=lambda i: truth
    )
    hook = HOOKS.build(dict(type="MMDetWandbHook", bbox_score_thr=0.3))
    hook._show(dataset, [[np.array([[0, 0, 2, 2, 0.9], [0, 0, 1, 1, 0.1]])]])
    shown = [kwargs["boxes"]["boxes"]["box_data"] for _, kwargs in named(calls, "wandb.Image")]
    assert [len(each) for each in shown] == [1, 1]
    assert named(calls, "wandb.Table().add_data")[0][0][0] == "a.png"
