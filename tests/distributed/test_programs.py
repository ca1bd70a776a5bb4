"""Runs in programs of their own: a killed driver."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from processes import QUIET, wait_for
from tiny import tiny_config

from raydet.checkpoint import load
from raydet.distributed import train
from raydet.distributed.runs import LOST_AFTER, read_run

pytestmark = [pytest.mark.ray, pytest.mark.slow]
HERE = Path(__file__).parent


@pytest.fixture
def one_thread(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # as in the driver that is killed: sums depend on it
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_train_after_killed_driver_resumes_to_parameters_of_calm_run(coco, tmp_path, one_thread):
    calm = train(tiny_config(*coco), local=True, storage=str(tmp_path), name="calm")
    marker = tmp_path / "stopped"
    environment = {**os.environ, **QUIET, "PYTHONPATH": str(HERE)}
    command = [sys.executable, str(HERE / "driver.py"), *coco, str(tmp_path), str(marker)]
    driver = subprocess.Popen(command, env=environment)
    try:
        wait_for(marker.exists, 240, driver)
    finally:
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    assert read_run(str(tmp_path / "run")).state(now=time.time() + LOST_AFTER) == "lost"
    resumed = train(tiny_config(*coco), storage=str(tmp_path), name="run", resume=True, address="local")
    one, other = (load(result.checkpoint)["state_dict"] for result in (calm, resumed))
    assert all(torch.equal(one[key], other[key]) for key in one)
    log = max((tmp_path / "run").glob("*.log"))
    assert "resumed" in log.read_text()
    run = read_run(str(tmp_path / "run"))
    assert (run.state(), run.standing.launches, run.standing.iter) == ("finished", 2, 24)
