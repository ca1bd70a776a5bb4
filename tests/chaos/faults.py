"""Faults: what a plug-in hook does to a run at one iteration, once. Each is a function of a few lines."""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray

from raydet.engine import Hook
from raydet.registry import HOOKS

FAULTS: dict[str, Callable[[Any], None]] = {}
REGISTERED = 2.0
"""Seconds within which Ray Train has registered a checkpoint that was reported."""


def fault(function: Callable[[Any], None]) -> Callable[[Any], None]:
    FAULTS[function.__name__] = function
    return function


def processes(title: str) -> list[int]:
    """Processes of this machine whose command line begins with or holds `title`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if title in line and int(path.parent.name) != os.getpid():
            found.append(int(path.parent.name))
    return found


def kill_all(title: str) -> None:
    pids = processes(title)
    assert pids, f"no process is called {title}"
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


@fault
def kill_worker(runner: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@fault
def stop_worker(runner: Any) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


@fault
def sleep_for_ever(runner: Any) -> None:
    while True:
        time.sleep(1)


@fault
def run_out_of_memory(runner: Any) -> None:
    raise MemoryError("no more memory")


@fault
def eat_memory(runner: Any) -> None:
    """Until Ray's memory monitor kills this process."""
    eaten = []
    for _ in range(8 * 1024):
        eaten.append(bytes(os.urandom(1024)) * 1024)
        time.sleep(0.002)


@fault
def make_a_mistake(runner: Any) -> None:
    raise KeyError("no such class: zebra")


@fault
def kill_controller(runner: Any) -> None:
    kill_all("ray::TrainController")
    time.sleep(60)


@fault
def kill_data_actors(runner: Any) -> None:
    """Once they are up: the worker reads its first batches itself."""
    end = time.monotonic() + 60
    while not processes("ray::MapWorker") and time.monotonic() < end:
        time.sleep(0.5)
    kill_all("ray::MapWorker")


@fault
def fill_disk(runner: Any) -> None:
    """Files of this process may not grow from here on, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


@fault
def kill_head(runner: Any) -> None:
    kill_all("gcs_server")
    time.sleep(60)


@fault
def wait_a_while(runner: Any) -> None:
    """The fault comes from outside."""
    time.sleep(1)


@HOOKS.register_module(force=True)
class ChaosHook(Hook):
    """Does a fault after an iteration, once for each iteration in `at`, and leaves a note of every iteration.

    Args:
        folder: for notes.
        fault: one of `FAULTS`.
        at: iterations.
        rank: on which it happens.
        pace: seconds that every iteration takes at least.
    """

    def __init__(
        self, folder: str, fault: str = "", at: tuple[int, ...] = (), rank: int = 0, pace: float = 0.0
    ) -> None:
        self.folder = Path(folder)
        self.fault = fault
        self.at = at
        self.rank = rank
        self.pace = pace

    def after_train_iter(self, runner: Any) -> None:
        time.sleep(self.pace)
        done = runner.iter + 1
        if runner.rank == 0:
            names = [Path(meta["filename"]).name for meta in runner.data_batch["img_metas"]]
            with (self.folder / "iterations").open("a") as file:
                file.write(f"{done} {runner.world_size} {' '.join(names)}\n")
        marker = self.folder / f"fault_{done}"
        if runner.rank == self.rank and done in self.at and not marker.exists():
            time.sleep(REGISTERED)
            marker.write_text(ray.get_runtime_context().get_node_id() if ray.is_initialized() else "")
            FAULTS[self.fault](runner)
