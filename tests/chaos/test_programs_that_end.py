"""The program that started a run ends: by a signal, or since the head of its cluster is gone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from harness import assert_equal, wait_for

from raydet.checkpoint import load

pytestmark = [pytest.mark.ray, pytest.mark.chaos, pytest.mark.slow]
PROGRAM = Path(__file__).with_name("program.py")


def start(chaos, cfg=None, resume=False):
    if cfg is not None:
        (chaos.folder / "case.py").write_text(cfg.pretty_text)
    # With Ray's own minute, a driver waits that long for a head that is gone.
    environment = {**os.environ, "RAY_gcs_rpc_server_reconnect_timeout_s": "5"}
    log = (chaos.folder / f"program_{resume}.log").open("w")
    command = [sys.executable, str(PROGRAM), str(chaos.folder), "resume" if resume else "new", "1"]
    return subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)


def finish(chaos, calm):
    """Go on with the run in a new program and a new cluster, from the storage alone."""
    program = start(chaos, resume=True)
    assert program.wait(300) == 0, (chaos.folder / "program_True.log").read_text()[-3000:]
    checkpoint = json.loads((chaos.folder / "result.json").read_text())
    assert_equal(load(checkpoint)["state_dict"], calm)
    chaos.assert_same_batches_again()


def done_twice(chaos):
    numbers = [number for number, *_ in chaos.iterations()]
    return len(numbers) - len(set(numbers))


def test_terminated_program(chaos, calm):
    program = start(chaos, chaos.config("wait_a_while", at=8, pace=0.5))
    wait_for(lambda: chaos.hurt(8) or program.poll() is not None)
    program.send_signal(signal.SIGTERM)
    assert program.wait(120) == 143
    log = (chaos.folder / "program_False.log").read_text()
    assert "the run was asked to stop: saving a checkpoint" in log
    assert (chaos.folder / "run" / "interrupted.pth").exists()
    finish(chaos, calm)
    assert done_twice(chaos) == 0
    chaos.row("6 the driver ends", "SIGTERM to the program (exit code 143)", "a checkpoint; resumed without loss")


def test_killed_program(chaos, calm):
    program = start(chaos, chaos.config("wait_a_while", at=8, pace=0.5))
    wait_for(lambda: chaos.hurt(8) or program.poll() is not None)
    program.kill()
    program.wait()
    finish(chaos, calm)
    chaos.row("6 the driver ends", "SIGKILL of the program", f"checkpoints; {done_twice(chaos)} iterations done again")


def test_killed_head(chaos, calm):
    program = start(chaos, chaos.config("kill_head", at=8))
    wait_for(lambda: chaos.hurt(8) or program.poll() is not None)
    assert program.wait(240) != 0
    finish(chaos, calm)
    chaos.row(
        "7 the head dies", "SIGKILL of the cluster's GCS", f"checkpoints; {done_twice(chaos)} iterations done again"
    )
