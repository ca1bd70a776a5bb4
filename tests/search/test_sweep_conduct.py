"""Which trials there are, what becomes of them, and who hears of it."""

import threading
import time

import pytest
from fake_trials import course, fake_sweep, hill

from raydet.search import ledger
from raydet.search.attempt import Attempt, Evaluated
from raydet.search.events import SweepWatcher
from raydet.search.run import run_sweep
from raydet.search.task import Broken, Finished, TrialTask

MEMORY = {"sampler": "random", "storage": "memory"}
TASK = TrialTask(0, {}, {}, 1, "/nowhere")


@pytest.fixture(autouse=True)
def no_disk(monkeypatch):
    monkeypatch.setattr(ledger.os, "fsync", lambda _: None)


def run(sweep, folder, function=hill, **more):
    return run_sweep(sweep, folder, local=True, function=function, **more)


def test_points_that_break_a_constraint_never_run_and_do_not_count(tmp_path):
    sweep = fake_sweep(tmp_path, num_trials=6, search=MEMORY, constraints=["x + y < 3"])
    records = run(sweep, tmp_path / "run").records
    rejected = [each for each in records if each.state == "rejected"]
    assert len(records) - len(rejected) == 6
    assert rejected
    assert all(each.params["x"] + each.params["y"] >= 3 for each in rejected)
    assert "`x + y < 3` does not hold" in rejected[0].reason
    assert [each.number for each in records] == list(range(len(records)))


def test_points_without_a_value_never_run_and_do_not_count(tmp_path):
    space = {"y": {"int": [0, 2]}, "x": {"uniform": [0, 1]}, "z": {"expression": "1 / y", "new": True}}
    sweep = fake_sweep(tmp_path, num_trials=6, search=MEMORY, space=space)
    records = run(sweep, tmp_path / "run").records
    rejected = [each for each in records if each.state == "rejected"]
    assert rejected
    assert [each.params["y"] for each in rejected] == [0] * len(rejected)
    assert all(each.params["y"] for each in records if each not in rejected)
    assert "cannot be computed" in rejected[0].reason
    assert len(records) - len(rejected) == 6


def test_constraints_that_no_point_fulfils_end_the_sweep(tmp_path):
    sweep = fake_sweep(tmp_path, search=MEMORY, constraints=["x > 2"])
    with pytest.raises(ValueError, match=r"500 draws in a row were rejected.*loosen the constraints"):
        run(sweep, tmp_path / "run")


def test_grid_runs_all_points_once_after_the_given_ones(tmp_path):
    space = {"kind": {"choice": ["a", "b"]}, "y": {"int": [0, 2]}, "x": {"choice": [0.1, 0.2]}}
    sweep = fake_sweep(
        tmp_path, num_trials=50, space=space, points=[{"y": 1}], search={**MEMORY, "sampler": "grid"}, pruning={}
    )
    records = run(sweep, tmp_path / "run").records
    assert len(records) == 1 + 2 * 3 * 2
    assert records[0].params["y"] == 1
    assert len({tuple(sorted(each.params.items())) for each in records[1:]}) == 12


def test_time_limit_lets_trials_that_run_come_to_their_end(tmp_path):
    def slow(task, report):
        time.sleep(0.3)
        return hill(task, report)

    sweep = fake_sweep(tmp_path, num_trials=50, search=MEMORY, time_limit=0.5, pruning={})
    result = run(sweep, tmp_path / "run", slow)
    assert 1 <= len(result.records) <= 3
    assert {each.state for each in result.records} == {"complete"}
    assert not result.interrupted


def test_interrupted_sweep_says_so_and_goes_on(tmp_path):
    def interrupted(task, report):
        if task.number == 2 and task.attempt == 1:
            raise KeyboardInterrupt
        return hill(task, report)

    sweep = fake_sweep(tmp_path, num_trials=4, search=MEMORY)
    result = run(sweep, tmp_path / "run", interrupted)
    assert result.interrupted
    assert [each.state for each in result.records][-1] == "running"
    assert course(run(sweep, tmp_path / "run", interrupted, resume=True).records) == course(
        run(sweep, tmp_path / "whole").records
    )


def test_best_is_that_of_the_complete_trials(tmp_path):
    result = run(fake_sweep(tmp_path), tmp_path / "run")
    complete = [each for each in result.records if each.state == "complete"]
    assert result.best is max(complete, key=lambda each: each.values[0])


class Listener(SweepWatcher):
    def __init__(self):
        self.heard = []

    def trial_drawn(self, record):
        self.heard.append(("drawn", record.number))

    def trial_reported(self, record, report, decision):
        self.heard.append((decision.step, decision.stop))

    def trial_ended(self, record):
        self.heard.append((record.state, record.number))

    def sweep_ended(self, records, interrupted):
        self.heard.append(("over", interrupted))


class Breaking(SweepWatcher):
    def trial_started(self, record):
        raise RuntimeError("the tracker is down")


def test_watchers_hear_all_in_order_and_one_that_breaks_is_left_out(tmp_path, caplog):
    listener = Listener()
    run(fake_sweep(tmp_path, num_trials=2, search=MEMORY), tmp_path / "run", callbacks=[Breaking(), listener])
    assert listener.heard[:2] == [("drawn", 0), (1, False)]
    assert listener.heard[9:12] == [(9, False), ("complete", 0), ("drawn", 1)]
    assert listener.heard[-1] == ("over", False)


def test_unknown_option_of_a_sampler_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match=r"search.options has 'popsize', which 'tpe' does not know; it has .*n_ei_candidates"
    ):
        run(fake_sweep(tmp_path, search={"sampler": "tpe", "options": {"popsize": 3}}), tmp_path / "run")


def test_attempt_waits_for_each_answer_and_ends_when_asked():
    steps = []

    def function(task, report):
        for step in (1, 2, 3):
            steps.append(step)
            if not report(step, {"score": step, "name": "text"}):
                return {"stopped": step}
        return {}

    attempt = Attempt(function, TASK)
    assert attempt.next_event() == Evaluated(1, {"score": 1.0})
    time.sleep(0.05)
    assert steps == [1]
    attempt.answer(True)
    assert attempt.next_event() == Evaluated(2, {"score": 2.0})
    assert attempt.stop(timeout=10)
    assert attempt.next_event() == Finished({"stopped": 2.0})


def test_attempt_that_does_not_obey_is_told():
    release = threading.Event()
    attempt = Attempt(lambda task, report: release.wait(30) and {}, TASK)
    assert not attempt.stop(timeout=0.05)
    release.set()
    assert attempt.stop(timeout=10)


def test_error_of_a_function_is_an_outcome(tmp_path):
    def function(task, report):
        raise FileNotFoundError("no such file\nsecond line")

    task = TrialTask(0, {}, {}, 1, str(tmp_path / "trial"))
    assert Attempt(function, task).next_event() == Broken("FileNotFoundError: no such file")
    assert "second line" in (tmp_path / "trial" / "error.txt").read_text()
