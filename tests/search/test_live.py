"""The table of a running sweep, and its lines where there is no terminal."""

import io

import pytest
from made_up import OBJECTIVES, made_up_records, made_up_sweep
from rich.console import Console

from raydet.search.live import LiveTable, Progress
from raydet.search.records import Decision, Report, TrialRecord


def console(terminal):
    return Console(file=io.StringIO(), force_terminal=terminal, width=120, color_system=None)


def fresh(number):
    return TrialRecord(number, {"lr": 0.01}, {}, 0, reports=[], decisions=[])


def test_lines_tell_what_happens(tmp_path):
    out = console(terminal=False)
    table = LiveTable(out)
    table.sweep_started(made_up_sweep(num_trials=2), tmp_path, [])
    record = fresh(0)
    table.trial_drawn(record)
    record.state, record.attempts = "running", 1
    table.trial_started(record)
    report, decision = Report(1, {"bbox_mAP": 0.25}, 0.0), Decision(1, None, 0.25, False)
    record.reports.append(report)
    table.trial_reported(record, report, decision)
    record.state, record.values, record.ended = "complete", (0.25,), 1.0
    table.trial_ended(record)
    table.sweep_ended([record], interrupted=False)
    lines = out.file.getvalue().splitlines()
    assert lines[1] == "trial 0 started: lr=0.01"
    assert lines[2] == "trial 0 epoch 1: bbox_mAP 0.25"
    assert lines[3].startswith("trial 0 complete; 1/2 trials, best bbox_mAP 0.25 (trial 0), ")


def test_the_table_shows_running_trials_first_and_the_best_of_the_others(tmp_path):
    out = console(terminal=True)
    table = LiveTable(out)
    table.sweep_started(made_up_sweep(), tmp_path, made_up_records())
    table.close()
    text = out.file.getvalue()
    rows = [line.split() for line in text.splitlines() if line.strip()[:1].isdigit()]
    assert rows[0][:3] == ["23", "running", "3/9"]
    values = [float(row[3]) for row in rows[1:] if row[1] == "complete"]
    assert len(values) >= 3
    assert values == sorted(values, reverse=True)
    assert "best bbox_mAP" in text


def test_the_rest_is_judged_by_the_pace_since_the_sweep_went_on():
    now = [100.0]
    records = {0: fresh(0), 1: fresh(1)}
    records[0].state = "complete"
    progress = Progress(records, OBJECTIVES[:1], 4, 10, clock=lambda: now[0])
    assert progress.remaining is None
    now[0] += 30
    records[1].state = "running"
    records[1].reports.append(Report(5, {}, 0.0))
    assert progress.remaining == pytest.approx(30 / 0.5 * 2.5)
