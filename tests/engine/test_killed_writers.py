"""A process that is killed while it writes checkpoints never loses more than the work since the last complete one."""

from __future__ import annotations

import logging
import os
import random
import signal
import time
from pathlib import Path

import torch
from torch import nn

from raydet.checkpoint import remove_checkpoint, remove_leftovers, save_checkpoint
from raydet.config import Config
from raydet.engine.base_runner import _point_to
from raydet.engine.environment import LocalEnvironment
from raydet.engine.starting import find_start

KILLS = 20


def write_forever(folder: Path, number: int, report: int) -> None:
    """Write one checkpoint after the other as a run does, and report the number of each that is complete."""
    model = nn.Linear(400, 400)
    while True:
        number += 1
        path = folder / f"iter_{number}.pth"
        model.weight.data.fill_(number)
        save_checkpoint(model, path, meta=dict(epoch=0, iter=number))
        _point_to(path)
        os.write(report, number.to_bytes(4, "little"))
        remove_checkpoint(folder / f"iter_{number - 2}.pth")


def test_killed_twenty_times_at_random_moments_of_writing(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    draws, number = random.Random(4), 0
    environment = LocalEnvironment(tmp_path, "cpu", resume=True)
    for _ in range(KILLS):
        receive, report = os.pipe()
        child = os.fork()
        if child == 0:
            write_forever(tmp_path, number, report)
        os.close(report)
        os.read(receive, 4)  # it writes by now
        time.sleep(draws.uniform(0, 0.05))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with os.fdopen(receive, "rb") as pipe:
            told = pipe.read()
        complete = max(int.from_bytes(told[-4:], "little"), number + 1)
        start = find_start(Config({}), environment, logging.getLogger("raydet_test_killed"))
        assert start.checkpoint is not None
        number = start.checkpoint["meta"]["iter"]
        assert number >= complete
        assert (start.checkpoint["state_dict"]["weight"] == number).all()
    remove_leftovers(tmp_path)
    assert list(tmp_path.glob("*.tmp")) == list(tmp_path.glob(".*.tmp")) == []
