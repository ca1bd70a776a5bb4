"""Sweeps on a Ray cluster: the same as in one process, through losses of processes, and nothing is left behind."""

import os
import signal
import subprocess
import sys
import time

import fake_trials
import pytest
from fake_trials import course, fake_sweep, hill, moody, mortal

from raydet.distributed.cluster import connected
from raydet.search.events import SweepWatcher
from raydet.search.run import run_sweep
from raydet.search.succession import DRIVER, take_over

pytestmark = pytest.mark.ray
RANDOM = {
    "search": {"sampler": "random", "storage": "memory"},
    "trial": {"cpus": 0.5, "concurrent": 1, "max_failures": 1},
}
OF_OTHERS = set()


@pytest.fixture(scope="module")
def cluster():
    """A cluster whose processes are given the fake trials, as they cannot import them."""
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(fake_trials)
    with connected("local", dashboard=True):
        OF_OTHERS.update(left_behind())  # tests before these may share the cluster
        yield
    cloudpickle.unregister_pickle_by_value(fake_trials)


def left_behind():
    """Actors of trials and placement groups that are there still: ids and what they are."""
    from ray.util.state import list_actors, list_placement_groups

    actors = {each.actor_id: each.class_name for each in list_actors() if each.state != "DEAD"}
    groups = {each.placement_group_id: "placement group" for each in list_placement_groups() if each.state != "REMOVED"}
    kinds = ("Trial", "Mailbox", "Train")
    found = {key: name for key, name in actors.items() if any(kind in name for kind in kinds)} | groups
    return {key: name for key, name in found.items() if key not in OF_OTHERS}


def assert_nothing_is_left_behind():
    for _ in range(60):  # Ray takes a moment to see that a process is gone
        if not left_behind():
            return
        time.sleep(1)
    raise AssertionError(f"left behind: {left_behind()}")


def test_sweep_on_ray_is_that_of_one_process_and_leaves_nothing_behind(cluster, tmp_path):
    sweep = fake_sweep(tmp_path, trial={"cpus": 0.5, "concurrent": 1})
    on_ray = run_sweep(sweep, tmp_path / "ray", function=hill)
    here = run_sweep(sweep, tmp_path / "here", local=True, function=hill)
    assert course(on_ray.records) == course(here.records)
    assert {each.state for each in on_ray.records} == {"complete", "pruned"}
    assert_nothing_is_left_behind()


def test_lost_processes_are_started_again_and_those_that_do_not_obey_are_ended(cluster, tmp_path):
    sweep = fake_sweep(tmp_path, num_trials=4, **RANDOM)
    records = run_sweep(sweep, tmp_path / "run", function=mortal).records
    assert [each.state for each in records] == ["complete", "failed", "complete", "pruned"]
    assert [each.attempts for each in records[:3]] == [1, 2, 2]
    assert records[1].reason.startswith("its process was lost 2 times")
    assert_nothing_is_left_behind()


def test_trials_that_fail_are_results(cluster, tmp_path):
    sweep = fake_sweep(tmp_path, num_trials=4, **{**RANDOM, "trial": {"cpus": 0.5, "concurrent": 2}})
    records = run_sweep(sweep, tmp_path / "run", function=moody).records
    assert [each.state for each in records] == ["complete", "failed", "failed", "failed"]
    assert records[1].reason == "RuntimeError: out of luck"
    assert "more" in (tmp_path / "run" / records[1].folder / "error.txt").read_text()
    assert records[2].reason == "score was nan after step 1"
    assert records[3].reason == "after step 1 the trial had no 'score', only other"
    assert_nothing_is_left_behind()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_trials_of_two_workers_end_when_told_and_leave_nothing_behind(cluster, tmp_path):
    from test_sweep_trials import tiny_coco, tiny_sweep

    (tmp_path / "data").mkdir()
    points = [{"optimizer.lr": lr} for lr in (0.003, 9.0, 0.0005)]
    changes = {"space": {"optimizer.lr": {"loguniform": [0.0001, 9]}}, "points": points, "num_trials": 3}
    trial = {"carrier": "torch", "num_workers": 2, "keep_best": 1}
    sweep = tiny_sweep(
        tmp_path, tiny_coco(tmp_path / "data"), pruning={"scheduler": "asha", "reduction": 2}, trial=trial, **changes
    )
    records = run_sweep(sweep, tmp_path / "run").records
    assert records[0].state == "complete"
    assert [report.step for report in records[0].reports] == [1, 2]
    assert records[1].state == "failed"
    assert "NonFiniteLossError" in records[1].reason
    assert records[2].state in ("complete", "pruned")
    assert_nothing_is_left_behind()


ELSEWHERE = """
import sys, time, ray
ray.init(address=sys.argv[1], logging_level="ERROR")

@ray.remote(num_cpus=0)
class Trial:
    pass

trial = Trial.remote()
ray.get(trial.__ray_ready__.remote())
print(ray.get_runtime_context().get_job_id(), flush=True)
time.sleep(600)
"""


@pytest.mark.slow
def test_sweep_waits_for_the_trials_of_its_earlier_driver(cluster, tmp_path):
    import ray

    context, said = ray.get_runtime_context(), []
    take_over(tmp_path, said.append)
    own = (tmp_path / DRIVER).read_text()
    command = [sys.executable, "-c", ELSEWHERE, context.gcs_address]
    other = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        (tmp_path / DRIVER).write_text(own.replace(context.get_job_id(), other.stdout.readline().strip()))
        with pytest.raises(TimeoutError, match=r"still runs in the Ray job \w+ \(process \d+ on 127"):
            take_over(tmp_path, said.append, patience=1.0)
    finally:
        other.kill()
        other.wait()
    take_over(tmp_path, said.append)
    assert said
    assert (tmp_path / DRIVER).read_text() == own


class CtrlC(SweepWatcher):
    """Interrupts this process, as the keyboard does, when the second trial has reported twice."""

    def trial_reported(self, record, report, decision):
        if (record.number, report.step) == (1, 2):
            os.kill(os.getpid(), signal.SIGINT)


def test_sweep_interrupted_from_the_keyboard_leaves_nothing_behind_and_goes_on(cluster, tmp_path):
    sweep = fake_sweep(tmp_path, num_trials=4, trial={"cpus": 0.5, "concurrent": 1})
    stopped = run_sweep(sweep, tmp_path / "run", function=hill, callbacks=[CtrlC()])
    assert stopped.interrupted
    assert [each.state for each in stopped.records] == ["complete", "running"]
    assert_nothing_is_left_behind()
    resumed = run_sweep(sweep, tmp_path / "run", resume=True, function=hill)
    here = run_sweep(sweep, tmp_path / "here", local=True, function=hill)
    assert not resumed.interrupted
    assert course(resumed.records) == course(here.records)


def test_trial_that_can_never_fit_is_refused_with_the_numbers(cluster, tmp_path):
    sweep = fake_sweep(tmp_path, trial={"cpus": 500})
    began = time.monotonic()
    with pytest.raises(ValueError, match=r"needs 1 worker of 500 CPU.*the cluster can give at most \d+ CPU"):
        run_sweep(sweep, tmp_path / "run", function=hill)
    assert time.monotonic() - began < 60
