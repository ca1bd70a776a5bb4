"""Runs in programs of their own: a killed driver, a submitted job."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from tiny import tiny_config

from raydet.checkpoint import load
from raydet.distributed import train

pytestmark = [pytest.mark.ray, pytest.mark.slow]
HERE = Path(__file__).parent
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "OMP_NUM_THREADS": "1",
    "RAY_AUTH_MODE": "disabled",
    "RAY_worker_niceness": "0",
}


@pytest.fixture
def one_thread(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # as in the driver that is killed: sums depend on it
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def wait_for(condition, seconds, process):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, f"the program ended with {process.returncode}"
        assert time.monotonic() < end, f"nothing happened within {seconds} s"
        time.sleep(0.2)


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


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
    resumed = train(tiny_config(*coco), storage=str(tmp_path), name="run", resume=True, address="local")
    one, other = (load(result.checkpoint)["state_dict"] for result in (calm, resumed))
    assert all(torch.equal(one[key], other[key]) for key in one)
    log = max((tmp_path / "run").glob("*.log"))
    assert "resumed" in log.read_text()


@pytest.fixture
def head():
    """A cluster of this machine that takes jobs, and the environment of its clients."""
    port, dashboard, agent = free_port(), free_port(), free_port()
    environment = {**os.environ, **QUIET, "RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{dashboard}"}
    ray = shutil.which("ray", path=str(Path(sys.executable).parent))
    command = [ray, "start", "--head", "--block", "--num-cpus=2", f"--port={port}", "--dashboard-host=127.0.0.1"]
    # The agent that starts jobs has a fixed port by default, which another cluster of this machine may hold.
    command += [f"--dashboard-port={dashboard}", f"--dashboard-agent-listen-port={agent}"]
    command += ["--object-store-memory=200000000", "--disable-usage-stats"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: answers(dashboard), 120, process)
        yield ray, environment
    finally:
        process.terminate()
        process.wait()


def answers(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_ray_job_submit_trains_a_config_of_the_working_directory(head, coco, tmp_path):
    ray, environment = head
    project = tmp_path / "project"
    project.mkdir()
    cfg = tiny_config(*coco, max_epochs=1)
    (project / "tiny_config.py").write_text(cfg.pretty_text)
    command = [ray, "job", "submit", "--working-dir", str(project), "--", sys.executable, "-m", "raydet.cli", "train"]
    command += ["tiny_config.py", "--storage", str(tmp_path), "--name", "job"]
    end = time.monotonic() + 120
    while True:
        job = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)
        if "No available agent" not in job.stderr + job.stdout or time.monotonic() > end:
            break
        time.sleep(3)  # the agent that starts jobs comes up later than the dashboard
    assert job.returncode == 0, job.stdout + job.stderr
    assert (tmp_path / "job" / "epoch_1.pth").exists()
    assert job.stdout.count("Saving checkpoint at 1 epochs") == 1
