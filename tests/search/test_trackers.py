"""Sweeps in TensorBoard and MLflow."""

import pytest
from made_up import made_up_records, made_up_sweep

from raydet.search.trackers import MlflowTracker, trackers


def play(watcher, folder, records):
    watcher.sweep_started(made_up_sweep(), folder, [])
    for record in records:
        watcher.trial_started(record)
        for report, decision in zip(record.reports, record.decisions, strict=True):
            watcher.trial_reported(record, report, decision)
        if record.state in ("complete", "pruned", "failed"):
            watcher.trial_ended(record)
    watcher.sweep_ended(records, interrupted=False)


def test_unknown_trackers_are_refused():
    with pytest.raises(ValueError, match="no tracker 'wandb'; expected 'tensorboard' or 'mlflow'"):
        trackers(["wandb"])


def test_tensorboard_has_a_run_for_each_trial(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    [tracker] = trackers(["tensorboard"])
    records = made_up_records(8)[:4]
    play(tracker, tmp_path, records)
    events = EventAccumulator(str(tmp_path / "tensorboard" / "0000")).Reload()
    assert [each.step for each in events.Scalars("bbox_mAP")] == list(range(1, 10))
    assert events.Scalars("hparam/bbox_mAP")[0].value == pytest.approx(records[0].values[0])
    assert len(list((tmp_path / "tensorboard").iterdir())) == 4


def test_mlflow_nests_trials_in_the_run_of_the_sweep(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    records = made_up_records(9)
    play(MlflowTracker(), tmp_path, records[:3])
    play(MlflowTracker(), tmp_path, records[6:8])  # the sweep goes on in another process
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("lr_anchors")
    runs = client.search_runs([experiment.experiment_id])
    parents = {run.data.tags.get("mlflow.parentRunId") for run in runs}
    assert len(runs) == 6
    assert len(parents - {None}) == 1
    by_trial = {run.data.tags.get("raydet.trial"): run for run in runs}
    assert by_trial["7"].info.status == "FAILED"
    assert by_trial["0"].data.metrics["final_bbox_mAP"] == pytest.approx(records[0].values[0])
    assert by_trial["0"].data.params["scale"] == "4"
