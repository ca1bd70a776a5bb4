"""What a run shows and opens: its own lines on the terminal, and no port for others."""

import importlib
import os
import re
import subprocess
import sys
import time

import pytest
import ray  # noqa: F401  (brings psutil)
from processes import QUIET
from tiny import tiny_config

pytestmark = pytest.mark.ray
RAYS_OWN = re.compile(
    r"\(\w+ pid=|raylet|core_worker|gcs_server|/ray/_private|worker\.py:\d+|TrainController|\[\d{4}-.*[IWE] \d+"
)


@pytest.fixture
def environment():
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("RAY")}
    quiet = {name: value for name, value in QUIET.items() if name != "RAY_AUTH_MODE"}  # as users have it
    kept = {name: os.environ[name] for name in ("RAY_TMPDIR",) if name in os.environ}
    return {**inherited, **quiet, **kept}


def command(tmp_path, coco, *arguments):
    (tmp_path / "tiny_config.py").write_text(tiny_config(*coco, max_epochs=1).pretty_text)
    words = ["train", str(tmp_path / "tiny_config.py"), "--storage", str(tmp_path / "runs"), "--name", "run"]
    return [sys.executable, "-m", "raydet.cli", *words, *arguments]


def open_ports(pid):
    """Processes among `pid` and its descendants that listen beyond loopback, with their ports."""
    psutil = importlib.import_module("psutil")  # comes with Ray
    try:
        parent = psutil.Process(pid)
        family = [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return set()
    found = set()
    for process in family:
        try:
            listening = [each for each in process.net_connections("inet") if each.status == psutil.CONN_LISTEN]
        except psutil.Error:
            continue
        found |= {(process.pid, each.laddr.port) for each in listening if not is_loopback(each.laddr.ip)}
    return found


def is_loopback(ip):
    return ip.removeprefix("::ffff:").startswith("127.") or ip == "::1"


def test_run_shows_its_own_lines_alone_and_opens_no_port_to_others(coco, tmp_path, environment):
    words = command(tmp_path, coco, "--num-workers", "2")
    with (tmp_path / "out").open("w") as out, (tmp_path / "err").open("w") as err:
        process = subprocess.Popen(words, env=environment, stdout=out, stderr=err)
        ports = set()
        try:
            end = time.monotonic() + 280
            while process.poll() is None and time.monotonic() < end:
                ports |= open_ports(process.pid)
                time.sleep(0.5)
        finally:
            process.kill()
            process.wait()
    printed = (tmp_path / "out").read_text()
    assert process.returncode == 0, printed + (tmp_path / "err").read_text()
    assert (tmp_path / "err").read_text() == ""
    assert [line for line in printed.splitlines() if RAYS_OWN.search(line)] == []
    assert "Saving checkpoint at 1 epochs" in printed
    assert len(ports) <= 1, ports  # torch's meeting point, which always listens everywhere
    ranks = list((tmp_path / "runs" / "run" / "ranks").glob("*.rank1.log"))
    assert len(ranks) == 1
    assert "hooks of each stage" in ranks[0].read_text()


@pytest.mark.slow
def test_verbose_run_shows_what_ray_says(coco, tmp_path, environment):
    words = command(tmp_path, coco, "--verbose", "--dry-run")
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Started a local Ray instance" in done.stderr


def test_dry_run_says_what_would_run_and_writes_nothing(ray_cluster, coco, tmp_path, capsys):
    from raydet.cli import main

    words = command(tmp_path, coco, "--num-workers", "2", "--resources-per-worker", "CPU=0.5", "--dry-run")
    assert main(words[3:]) == 0
    assert "run " in (out := capsys.readouterr().out)
    assert "2 workers of 0.5 CPU" in out
    assert not (tmp_path / "runs").exists()
    assert main([*words[3:], "--resources-per-worker", "CPU=64"]) == 2
    assert "at most 2 CPU" in capsys.readouterr().err
    assert main([*words[3:], "--cfg-options", "model.type=RetinaNetz"]) == 2
    assert "RetinaNet" in capsys.readouterr().err
