"""Trainings as jobs of a cluster of this machine that wants a token."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import QUIET, answers, free_port, wait_for
from tiny import tiny_config

from raydet.distributed.runs import LOST_AFTER, read_run

pytestmark = [pytest.mark.ray, pytest.mark.slow]
TOKEN = "a1b2c3d4e5f60718293a4b5c6d7e8f90"
PLUGIN = """
import os, time
from pathlib import Path
from raydet.engine import Hook
from raydet.registry import HOOKS

@HOOKS.register_module()
class Witness(Hook):
    def __init__(self, folder, wait=0):
        self.folder, self.wait = Path(folder), wait

    def before_run(self, runner):
        self.folder.mkdir(exist_ok=True)
        (self.folder / "files").write_text("\\n".join(str(p) for p in sorted(Path.cwd().rglob("*")) if p.is_file()))
        (self.folder / "greeting").write_text(os.environ.get("GREETING", ""))
        time.sleep(self.wait)
"""


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    """A cluster of this machine that takes jobs: the environment of its clients."""
    port, dashboard, agent = free_port(), free_port(), free_port()
    home = tmp_path_factory.mktemp("home")
    environment = {**os.environ, **QUIET, "HOME": str(home), "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
    ray = shutil.which("ray", path=str(Path(sys.executable).parent))
    command = [ray, "start", "--head", "--block", "--num-cpus=2", f"--port={port}", "--dashboard-host=127.0.0.1"]
    # The agent that starts jobs has a fixed port by default, which another cluster of this machine may hold.
    command += [f"--dashboard-port={dashboard}", f"--dashboard-agent-listen-port={agent}"]
    command += ["--object-store-memory=200000000", "--disable-usage-stats"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: answers(dashboard), 240, process)
        client = {**environment, "RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{dashboard}"}
        del client["RAY_AUTH_MODE"]  # a token alone suffices
        yield client
    finally:
        process.terminate()
        process.wait()


def submit(head, *arguments, cwd=None, **changes):
    environment = {name: value for name, value in {**head, **changes}.items() if value is not None}
    command = [sys.executable, "-m", "raydet.cli", "submit", *map(str, arguments)]
    return subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, timeout=280, check=False)


def submit_when_ready(head, *arguments, **options):
    """The agent that starts jobs comes up later than the dashboard."""
    end = time.monotonic() + 240
    while True:
        done = submit(head, *arguments, **options)
        if "still starting" not in done.stderr or time.monotonic() > end:
            return done
        time.sleep(3)


@pytest.fixture
def project(coco, tmp_path):
    """A folder with a config, and much that has no business on a cluster; its plug-in is outside."""
    folder = tmp_path / "project"
    for name in (".env", "key.pem", "data/big.bin", "old.pth", ".git/HEAD", "work_dirs/a/b.log", "my_secrets.yaml"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    cfg = tiny_config(
        *coco,
        max_epochs=1,
        custom_imports={"imports": ["plugin.witness"], "allow_failed_imports": False},
        custom_hooks=[{"type": "Witness", "folder": str(tmp_path / "seen")}],
    )
    (folder / "tiny_config.py").write_text(cfg.pretty_text)
    (tmp_path / "plugin").mkdir()
    (tmp_path / "plugin" / "__init__.py").touch()
    (tmp_path / "plugin" / "witness.py").write_text(PLUGIN)
    return folder


@pytest.mark.parametrize(
    ("token", "words"), [(None, "wants a token and got none"), ("f" * 32, "does not know this token")]
)
def test_submit_without_the_right_token_says_so(head, token, words):
    done = submit(head, "list", RAY_AUTH_TOKEN=token)
    assert done.returncode == 2
    assert words in done.stderr
    assert TOKEN not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_submit_to_nobody_says_so(head):
    done = submit(head, "list", RAY_API_SERVER_ADDRESS=f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 2
    assert "no Ray cluster answers at http://127.0.0.1" in done.stderr


def test_submit_of_an_unknown_job_says_so(head):
    done = submit(head, "stop", "no-such-job")
    assert done.returncode == 2
    assert "knows no job 'no-such-job'" in done.stderr


def test_submitted_config_trains_with_its_plugins_and_without_secrets(head, project, tmp_path):
    options = ["--storage", tmp_path / "runs", "--name", "first", "--py-module", tmp_path / "plugin"]
    options += ["--env", "GREETING=hello", "--program", f"{sys.executable} -m raydet.cli", "--metadata", "team=birds"]
    done = submit_when_ready(head, "tiny_config.py", *options, cwd=project)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("Saving checkpoint at 1 epochs") == 1
    assert TOKEN not in done.stdout + done.stderr
    assert (tmp_path / "runs" / "first" / "epoch_1.pth").exists()
    status = json.loads((tmp_path / "runs" / "first" / "status.json").read_text())
    assert status["state"] == "finished"
    assert not any(TOKEN in path.read_text() for path in (tmp_path / "runs").rglob("*.json*"))
    travelled = {Path(line).name for line in (tmp_path / "seen" / "files").read_text().splitlines()}
    assert "tiny_config.py" in travelled
    assert travelled.isdisjoint({".env", "key.pem", "big.bin", "old.pth", "HEAD", "b.log", "my_secrets.yaml"})
    assert (tmp_path / "seen" / "greeting").read_text() == "hello"
    job = done.stdout.rsplit("job ", 1)[1].split(":")[0]
    assert "team      birds" in submit(head, "status", job).stdout
    assert job in submit(head, "list").stdout
    assert "Saving checkpoint" in submit(head, "logs", job).stdout


def test_stopped_job_leaves_an_interrupted_run(head, project, tmp_path):
    options = ["--storage", tmp_path / "runs", "--name", "long", "--py-module", tmp_path / "plugin", "--no-wait"]
    options += ["--program", f"{sys.executable} -m raydet.cli", "--cfg-options", "custom_hooks.0.wait=3600"]
    done = submit_when_ready(head, "tiny_config.py", *options, cwd=project)
    assert done.returncode == 0, done.stdout + done.stderr
    job = done.stdout.split("job ", 1)[1].split(":")[0]
    end = time.monotonic() + 240
    while not (tmp_path / "seen" / "greeting").exists():
        assert time.monotonic() < end, submit(head, "logs", job).stdout
        time.sleep(0.5)
    assert "told to stop" in submit(head, "stop", job).stdout
    while "stopped" not in submit(head, "status", job).stdout:
        assert time.monotonic() < end
        time.sleep(1)
    state = read_run(str(tmp_path / "runs" / "long")).state(now=time.time() + LOST_AFTER)
    assert state in ("interrupted", "lost")  # the run had the time to say so, or was killed
