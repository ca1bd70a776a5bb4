"""How the events and reports of a run add up."""

import pytest

from raydet.distributed.standing import Standing


def report(iteration, rank=0, **seconds):
    return {"rank": rank, "epoch": 1, "iter": iteration, "max_epochs": 2, "max_iters": 100, "iterations": 10} | {
        "loss": 1.0,
        "seconds": {"train": 0.0, "data": 0.0, "hooks": 0.0, **seconds},
    }


def launched():
    standing = Standing()
    standing.take_event("launch", 100.0, {"name": "run", "config": "a.py"})
    standing.take_event("begin", 110.0, {"iter": 0, "world_size": 2})
    standing.take_event("first step", 112.0, {"iter": 1})
    return standing


def test_standing_accounts_for_start_training_and_restart():
    standing = launched()
    standing.take_report(120.0, report(30, train=6.0, data=2.0))
    standing.take_event("failure", 121.0, {"errors": {}})
    standing.take_event("begin", 131.0, {"iter": 20, "world_size": 2})
    standing.take_event("first step", 133.0, {"iter": 21})
    standing.take_event("restart", 133.5, {"cause": "a lost worker", "lost_iterations": 12, "seconds": 13.5})
    assert standing.seconds == {"start": 12.0, "train": 6.0, "data": 2.0, "hooks": 0.0, "restart": 13.5}
    assert (standing.restarts, standing.lost_iterations, standing.iter) == (1, 12, 20)
    assert standing.data_wait_share == pytest.approx(0.25)
    assert standing.progress == pytest.approx(0.2)


def test_standing_of_a_run_that_never_went_on_counts_the_wait_for_it():
    standing = launched()
    standing.take_event("failure", 121.0, {"errors": {}})
    standing.take_event("end", 151.0, {"state": "failed"})
    assert (standing.seconds["restart"], standing.restarts) == (30.0, 0)


def test_standing_of_a_second_launch_keeps_what_the_first_one_spent():
    standing = launched()
    standing.take_event("end", 130.0, {"state": "failed", "error": "OSError: gone"})
    assert (standing.state, standing.error) == ("failed", "OSError: gone")
    again = Standing.from_dict({**standing.to_dict(), "unknown to this version": 1})
    again.take_report(600.0, report(30))
    again.take_event("launch", 500.0, {"name": "run"})
    again.take_event("begin", 505.0, {"iter": 20, "world_size": 1})
    again.take_event("first step", 507.0, {"iter": 1})
    assert (again.state, again.launches, again.started, again.error) == ("running", 2, 100.0, "")
    assert again.seconds["start"] == 19.0
    assert again.lost_iterations == 10


@pytest.mark.parametrize(
    ("metrics", "by", "best"),
    [
        ([{"bbox_mAP": 0.1}, {"bbox_mAP": 0.3}, {"bbox_mAP": 0.2}], "", ("bbox_mAP", 0.3)),
        ([{"a": 0.1, "segm": 0.5}, {"a": 0.9, "segm": 0.4}], "segm", ("segm", 0.5)),
        ([{"loss": 2.0}, {"loss": 1.0}, {"loss": 3.0}], "", ("loss", 1.0)),
    ],
)
def test_standing_remembers_the_best_evaluation(metrics, by, best):
    standing = launched()
    standing.best_by = by
    for epoch, each in enumerate(metrics):
        standing.take_event("evaluation", 200.0, {"metrics": each, "epoch": epoch, "iter": 1})
    assert (standing.best["name"], standing.best["value"]) == best
    assert standing.evaluation == metrics[-1]


def test_standing_keeps_reports_of_workers_that_are_there():
    standing = launched()
    standing.take_report(120.0, report(5))
    standing.take_report(120.0, report(5, rank=1))
    standing.take_event("begin", 130.0, {"iter": 5, "world_size": 1})
    assert list(standing.workers) == ["0"]
