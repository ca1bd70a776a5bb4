from __future__ import annotations

import json
import time

import pytest

from raydet.cli import main
from raydet.cli.tables import table
from raydet.distributed.runs import LOST_AFTER, list_runs, read_run
from raydet.distributed.standing import Standing
from raydet.distributed.words import duration


def made(storage, name, state="finished", age=0.0, **facts):
    folder = storage / name
    folder.mkdir()
    now = time.time()
    known = {"name": name, "state": state, "started": now - 7260 - age, "updated": now - age, **facts}
    (folder / "status.json").write_text(json.dumps({**Standing().to_dict(), **known}))
    return folder


@pytest.fixture
def storage(tmp_path):
    best = {"name": "bbox_mAP", "value": 0.4125, "epoch": 3, "iter": 30}
    done = made(tmp_path, "done", epoch=12, max_epochs=12, iter=120, max_iters=120, best=best, age=1000)
    events = [
        {"time": "2026-01-31T12:00:00.000+00:00", "event": "launch", "config": "a.py"},
        {"time": "2026-01-31T12:05:00.000+00:00", "event": "failure", "errors": {"1": "OSError: gone"}},
    ]
    (done / "timeline.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    told = {"rank": 0, "iter": 30, "data_wait": 0.125, "gpu_memory": 2**30}
    seconds = {"start": 20.0, "train": 60.0, "data": 15.0, "hooks": 5.0}
    metrics = {"loss": 1.25, "iter_s": 2.0, "data_wait": 0.125}
    live = {"iter": 30, "max_iters": 120, "epoch": 3, "max_epochs": 12, "workers": {"0": told}}
    made(tmp_path, "live", "running", seconds=seconds, metrics=metrics, **live)
    made(tmp_path, "dead", "running", age=LOST_AFTER + 60)
    made(tmp_path, "broken", "failed", age=2000, error="ValueError: no such class")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "epoch_1.pth").touch()
    (tmp_path / "no-run").mkdir()
    (tmp_path / "file.txt").touch()
    return tmp_path


def test_list_runs_finds_all_and_tells_the_dead_from_the_living(storage):
    states = {run.name: run.state() for run in list_runs(str(storage))}
    expected = {"done": "finished", "live": "running", "dead": "lost", "broken": "failed", "old": "unknown"}
    assert states == expected
    names = list(states)
    assert (names[0], names[-1]) == ("live", "old")


def test_runs_prints_a_line_each(storage, capsys):
    assert main(["runs", str(storage)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    done = next(line for line in lines if line.startswith("done"))
    assert done.split("  ")[0] == "done"
    assert "epoch 12/12 100 %" in done
    assert "bbox_mAP 0.4125" in done
    assert "2 h 01 min" in done


def test_runs_may_be_chosen_by_state_and_printed_as_json(storage, capsys):
    assert main(["runs", str(storage), "--state", "lost", "failed", "--json"]) == 0
    assert {run["name"]: run["state"] for run in json.loads(capsys.readouterr().out)} == {
        "dead": "lost",
        "broken": "failed",
    }


def test_runs_of_an_absent_folder_says_so(tmp_path, capsys):
    assert main(["runs", str(tmp_path / "gone")]) == 2
    assert "there is no folder" in capsys.readouterr().err


def test_status_of_a_living_run_says_how_far_it_is_and_where_its_time_went(storage, capsys):
    assert main(["status", str(storage / "live")]) == 0
    out = capsys.readouterr().out
    assert "live: running" in out
    assert "iteration 30/120, about 3 min 00 s left" in out
    assert "18.8 % of the training time" in out
    assert "20 s        20 %   until the first step" in out
    assert "12.5 %     1024 MB" in out


def test_status_of_a_run_that_failed_says_why(storage, capsys):
    assert main(["status", str(storage / "broken")]) == 0
    assert "ValueError: no such class" in capsys.readouterr().out


def test_status_of_a_lost_run_says_how_to_go_on(storage, capsys):
    assert main(["status", str(storage / "dead")]) == 0
    assert "no sign of life for 2 min 30 s; go on with it by" in capsys.readouterr().out


def test_status_shows_the_last_events(storage, capsys):
    assert main(["status", str(storage / "done"), "--events", "1"]) == 0
    out = capsys.readouterr().out
    assert "failure" in out
    assert "rank 1: OSError: gone" in out
    assert "launch  " not in out.split("WHEN")[1]
    assert main(["status", str(storage / "done"), "--json"]) == 0
    assert [event["event"] for event in json.loads(capsys.readouterr().out)["timeline"]] == ["launch", "failure"]


def test_status_of_a_run_without_record_says_so(storage, capsys):
    assert main(["status", str(storage / "old")]) == 0
    assert "it has no record" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["gone", "no-run"])
def test_status_of_what_is_no_run_is_refused(storage, name):
    with pytest.raises(FileNotFoundError, match="is not the folder of a run"):
        read_run(str(storage / name))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.25, "0.2 s"), (59, "59 s"), (61, "1 min 01 s"), (3700, "1 h 01 min"), (90000, "1 d 01 h")],
)
def test_duration_has_two_units(seconds, words):
    assert duration(seconds) == words


def test_table_aligns_its_columns():
    assert table(("A", "LONG"), [("abc", "1"), ("d", "2")]) == "A    LONG\nabc  1\nd    2"
