"""The files that a run leaves behind for those who ask after it."""

import json

import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest

from raydet.distributed import provenance
from raydet.distributed.run_record import RunRecord, write_table
from raydet.distributed.runs import list_runs, read_run
from raydet.distributed.storage import RunFolder, open_run_folder


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def record(tmp_path, **options):
    folder = open_run_folder(tmp_path, "run", stem="x", resume=True)
    return RunRecord(folder, {"config": "a.py", "seed": 3}, **options)


def report(iteration):
    spent = {"train": 1.0, "data": 1.0, "hooks": 0.0}
    return {"rank": 0, "epoch": 1, "iter": iteration, "max_epochs": 1, "max_iters": 9, "loss": 0.5, "seconds": spent}


def test_record_of_a_run_holds_launch_timeline_metrics_and_status(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_API_TOKEN", "hunter2hunter2")
    monkeypatch.setattr("sys.argv", ["raydet", "train", "s3://key:hunter2hunter2@bucket/runs"])
    seen = []
    with record(tmp_path, on_event=lambda standing: seen.append(standing.iter)) as it:
        it.tell("begin", {"iter": 0, "world_size": 1})
        it.tell("first step", {"iter": 1})
        it.tell("report", report(4))
        it.tell("evaluation", {"epoch": 1, "iter": 4, "metrics": {"bbox_mAP": 0.25, "text": "0.25"}})
    run = tmp_path / "run"
    events = [line["event"] for line in lines(run / "timeline.jsonl")]
    assert events == ["launch", "begin", "first step", "evaluation", "end"]
    assert [(line["mode"], line["iter"]) for line in lines(run / "metrics.jsonl")] == [("train", 4), ("val", 4)]
    table = pq.read_table(run / "metrics.parquet").to_pydict()
    assert table["loss"] == [0.5, None]
    assert table["bbox_mAP"] == [None, 0.25]
    status = json.loads((run / "status.json").read_text())
    assert (status["state"], status["best"]["value"]) == ("finished", 0.25)
    launch = json.loads(next((run / "launches").glob("*.json")).read_text())
    assert launch["environment"]["MY_API_TOKEN"] == "***"
    assert launch["packages"]["numpy"]
    assert (launch["config"], launch["seed"]) == ("a.py", 3)
    assert not any("hunter2" in path.read_text() for path in run.rglob("*.json*"))
    assert seen[-1] == 4


@pytest.mark.parametrize(
    ("error", "state"), [(ValueError("no such class"), "failed"), (KeyboardInterrupt(), "interrupted")]
)
def test_record_of_a_run_that_did_not_finish_says_why(tmp_path, error, state):
    with pytest.raises(type(error)), record(tmp_path):
        raise error
    status = json.loads((tmp_path / "run" / "status.json").read_text())
    assert status["state"] == state
    assert type(error).__name__ in status["error"]


def test_record_of_a_run_that_goes_on_is_added_to(tmp_path):
    for _ in range(2):
        with record(tmp_path) as it:
            it.tell("report", report(4))
    events = [line["event"] for line in lines(tmp_path / "run" / "timeline.jsonl")]
    assert events == ["launch", "end"] * 2
    assert json.loads((tmp_path / "run" / "status.json").read_text())["launches"] == 2


def test_record_goes_on_behind_a_line_that_was_cut_off(tmp_path):
    with record(tmp_path):
        pass
    with (tmp_path / "run" / "timeline.jsonl").open("a") as file:
        file.write('{"time": "2026-01-')
    with record(tmp_path):
        pass
    events = [event["event"] for event in read_run(str(tmp_path / "run")).timeline()]
    assert events == ["launch", "end"] * 2


def test_record_that_cannot_be_written_does_not_end_the_run(tmp_path, monkeypatch, caplog):
    with record(tmp_path) as it:
        monkeypatch.setattr(it, "_append", full)
        it.tell("report", report(4))
        it.tell("checkpoint", {"file": "a.pth"})
        assert it.standing.iter == 4
    assert caplog.text.count("cannot be written: disk full") == 1


def full(*_):
    raise OSError("disk full")


def test_write_table_takes_columns_of_mixed_kinds(tmp_path):
    write_table([{"lr": 0.1}, {"lr": {"backbone": 0.1}}, {"other": 1}], tmp_path / "a.parquet")
    assert pq.read_table(tmp_path / "a.parquet").to_pydict() == {
        "lr": ["0.1", '{"backbone": 0.1}', None],
        "other": [None, None, 1],
    }


def test_masked_hides_secrets_at_any_depth():
    hidden = provenance.masked({"a": ["wandb_api_key=0123456789", 5], "b": "http://me:pw@host"})
    assert hidden == {"a": ["wandb_api_key=***", 5], "b": "http://host"}


def test_describe_source_in_a_job_says_where_it_was_submitted(tmp_path, monkeypatch):
    monkeypatch.setenv(provenance.SOURCE_VARIABLE, '{"commit": "abc"}')
    assert provenance.describe_source(tmp_path) == {"commit": "abc"}


def test_record_in_object_storage_is_sent_there_and_goes_on_there(tmp_path, monkeypatch):
    store = pafs.SubTreeFileSystem(str(tmp_path), pafs.LocalFileSystem())  # for us, all but the disk itself is remote
    store.create_dir("runs/run")
    folder = RunFolder(store, "runs", "run", "s3://bucket/runs")
    for launch in range(2):
        with RunRecord(folder, {"config": "a.py"}) as it:
            it.tell("report", report(launch + 1))
    run = tmp_path / "runs" / "run"
    assert [line["event"] for line in lines(run / "timeline.jsonl")] == ["launch", "end"] * 2
    assert pq.read_table(run / "metrics.parquet").to_pydict()["iter"] == [1, 2]
    assert len(list((run / "launches").glob("*.json"))) >= 1
    monkeypatch.setattr(
        "raydet.distributed.runs.open_storage", lambda place: (store, place.removeprefix("s3://bucket/"))
    )
    (found,) = list_runs("s3://bucket/runs")
    assert (found.state(), found.standing.launches, found.standing.iter) == ("finished", 2, 2)
    assert str(read_run("s3://bucket/runs/run").folder) == "s3://bucket/runs/run"
