"""Drivers that are killed with SIGKILL at random moments, or stopped with Ctrl-C, on a cluster of their own."""

import contextlib
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from fake_trials import course, fake_sweep, hill

from raydet.search.file import load_sweep
from raydet.search.ledger import LEDGER, Drawn, Ended, Reported, read_events, read_ledger
from raydet.search.run import run_sweep
from raydet.search.succession import DRIVER

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(1200)]
HERE = Path(__file__).parent
BESIDE = HERE.parent / "distributed"
sys.path.insert(0, str(BESIDE))
SEQUENTIAL = {"cpus": 0.5, "concurrent": 1}


def driver(sweep, folder, *more):
    """Start the program; it leads a group of processes."""
    path = os.pathsep.join([str(HERE), str(BESIDE), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(HERE / "sweep_driver.py"), str(sweep.file), str(folder), *more]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True)


def lines(folder):
    path = folder / LEDGER
    return len(path.read_bytes().splitlines()) if path.exists() else 0


def wait_for_lines(process, folder, number):
    deadline = time.monotonic() + 600
    while lines(folder) < number and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)


def kill(process):
    """End the driver, and what is left of the cluster that it started."""
    process.send_signal(signal.SIGKILL)
    process.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def finish(process):
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0
    assert output.splitlines()[-1] == "finished"


def run_with_kills(sweep, folder, moments, *more):
    """Run a sweep whose driver is killed when the ledger has so many lines, for each of the moments."""
    process = driver(sweep, folder, *more)
    for moment in moments:
        wait_for_lines(process, folder, moment)
        assert process.poll() is None, "the sweep was over before it could be killed"
        kill(process)
        process = driver(sweep, folder, "resume", *more)
    finish(process)
    return read_ledger(folder)


def test_killed_driver_goes_on_to_the_same_trials_decisions_and_best(tmp_path):
    sweep = fake_sweep(tmp_path, num_trials=12, trial=SEQUENTIAL)
    whole = run_sweep(sweep, tmp_path / "whole", local=True, function=hill).records
    moments = sorted(random.Random(os.getpid()).sample(range(2, lines(tmp_path / "whole") - 8), 3))
    print("killed at lines", moments)
    assert course(run_with_kills(sweep, tmp_path / "killed", moments)) == course(whole)


def test_killed_driver_of_concurrent_trials_loses_none_and_runs_none_twice(tmp_path):
    sweep = fake_sweep(tmp_path, num_trials=12, pruning={}, trial={"cpus": 0.5, "concurrent": 3})
    records = run_with_kills(sweep, tmp_path / "killed", [20, 70])
    assert [each.number for each in records] == list(range(12))
    assert {each.state for each in records} == {"complete"}
    events = list(read_events(tmp_path / "killed"))
    assert [each.number for each in events if isinstance(each, Drawn)] == list(range(12))
    assert sorted(each.number for each in events if isinstance(each, Ended)) == list(range(12))
    steps = [(each.number, each.report.step) for each in events if isinstance(each, Reported)]
    assert len(steps) == len(set(steps)) == 12 * 9


@pytest.mark.parametrize("way", ["local", "torch", "ray"])
def test_killed_driver_of_real_trainings_goes_on_to_the_same_trials(tmp_path, way):
    sweep = tiny_sweep(tmp_path, "torch" if way == "local" else way)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as workers of one CPU have; sums depend on it
    whole = run_sweep(sweep, tmp_path / "whole", local=True).records
    torch.set_num_threads(threads)
    assert {each.state for each in whole} >= {"complete", "pruned"}
    total = lines(tmp_path / "whole")
    moments = [4, random.Random(os.getpid()).randrange(6, total - 4)]
    print("killed at lines", moments, "of", total)
    assert course(
        run_with_kills(sweep, tmp_path / "killed", moments, *(["local"] if way == "local" else []))
    ) == course(whole)


@pytest.fixture
def running_cluster(monkeypatch):
    """A cluster that outlives the drivers, which join it."""
    from processes import QUIET, answers, free_port, wait_for

    port, ray = free_port(), shutil.which("ray", path=str(Path(sys.executable).parent))
    path = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [ray, "start", "--head", "--block", "--num-cpus=2", f"--port={port}", "--node-ip-address=127.0.0.1"]
    command += ["--include-dashboard=false", "--object-store-memory=200000000", "--disable-usage-stats"]
    process = subprocess.Popen(command, env={**os.environ, **QUIET, "PYTHONPATH": path}, stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: answers(port), 240, process)
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
        monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
        yield
    finally:
        process.terminate()
        process.wait()


def test_sweep_that_goes_on_where_its_dead_driver_was_meets_none_of_its_trials(running_cluster, tmp_path):
    trial = {"cpus": 0.5, "concurrent": 2}
    sweep = fake_sweep(tmp_path, name="busy", num_trials=4, pruning={}, trial=trial)
    records = run_with_kills(sweep, tmp_path / "killed", [6, 12])
    assert [each.state for each in records] == ["complete"] * 4
    gaps = [gap for each in records for gap in gaps_between_processes(tmp_path / "killed" / each.folder / "work.txt")]
    assert (tmp_path / "killed" / DRIVER).exists()
    print("seconds between the last work of one process and the first of the next one:", gaps)
    assert gaps
    assert min(gaps) > 0


def gaps_between_processes(notes):
    times = {}
    for process, moment in (line.split() for line in notes.read_text().splitlines()):
        times.setdefault(process, []).append(float(moment))
    spans = sorted((min(each), max(each)) for each in times.values())
    return [after[0] - before[1] for before, after in itertools.pairwise(spans)]


def tiny_sweep(folder, carrier):
    from tiny import tiny_coco, tiny_config

    (folder / "data").mkdir()
    tiny_config(*tiny_coco(folder / "data"), max_epochs=3).dump(str(folder / "base.py"))
    values = {
        "base": "base.py",
        "name": "tiny",
        "objective": {"metric": "bbox_mAP"},
        "space": {"optimizer.lr": {"loguniform": [0.0005, 0.01]}},
        "num_trials": 5,
        "seed": 3,
        "search": {"sampler": "tpe", "startup": 2},
        "pruning": {"scheduler": "asha", "reduction": 2, "val_fraction": 0.5},
        "trial": {"carrier": carrier, "concurrent": 1, "cpus": 1},
    }
    (folder / "tiny.yaml").write_text(yaml.safe_dump(values))
    return load_sweep(folder / "tiny.yaml")
