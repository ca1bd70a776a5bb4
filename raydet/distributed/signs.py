"""Signs of life of workers, and what they hear in return."""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
import time
from dataclasses import dataclass, replace
from typing import Any

RESIZE = "there is room for more workers"
PREEMPTION = "a node is about to go"
STOP = "the run was asked to stop"
"""Reasons to end a run early; the first and the last are also orders of the driver."""

PERIOD = 1.0
"""Seconds between two signs of a worker."""


@dataclass(frozen=True)
class Sign:
    """How one worker stands.

    Attributes:
        group: name of all workers that were started together.
        started: when they were, in seconds since 1970.
        rank: of the worker.
        world_size: number of workers in the group.
        node: id of its node.
        pid: of its process there.
        iteration: iterations done; None before the first one.
        first: iterations that were done when the group began; None before the first one.
        idle: seconds since it last finished an iteration or asked for a batch.
        at: when the sign was received.
        run_id: Ray Train's name for the work of the group's controller.
    """

    group: str
    started: float
    rank: int
    world_size: int
    node: str
    pid: int
    iteration: int | None = None
    first: int | None = None
    idle: float = 0.0
    at: float = 0.0
    run_id: str = ""

    def silence(self, now: float) -> float:
        """Seconds without progress."""
        return now - self.at + self.idle


class Pulse:
    """A worker's end: a thread that sends a sign every second, after the first iteration and at the end.

    Args:
        box: actor that receives the signs, an `EventBox`.
        sign: of this worker.
    """

    def __init__(self, box: Any, sign: Sign) -> None:
        self.order: str | None = None
        self._box = box
        self._sign = sign
        self._last = time.monotonic()
        self._ends = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="raydet-pulse", daemon=True)
        self._thread.start()

    def beat(self, iteration: int | None = None) -> None:
        """Note progress: an iteration is done, or just a batch was asked for."""
        self._last = time.monotonic()
        if iteration is not None:
            begins = self._sign.first is None
            first = iteration - 1 if begins else self._sign.first
            self._sign = replace(self._sign, iteration=iteration, first=first)
            if begins:
                self._wake.set()

    def close(self) -> None:
        """Send a last sign."""
        self._ends = True
        self._wake.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        import ray

        ended = False
        while not ended:
            self._wake.wait(PERIOD)
            self._wake.clear()
            ended = self._ends
            sign = replace(self._sign, idle=time.monotonic() - self._last)
            with contextlib.suppress(ray.exceptions.RayError):  # who has lost the driver ends soon enough
                self.order = ray.get(self._box.sign.remote(sign), timeout=30)


def own_sign(environment: Any) -> Sign:
    """The first sign of a worker; every rank calls this."""
    import ray

    from raydet.distributed.reservations import own_run_id
    from raydet.engine.environment import from_rank_0

    group, started = from_rank_0(environment, (secrets.token_hex(4), time.time()))
    node = ray.get_runtime_context().get_node_id()
    return Sign(group, started, environment.rank, environment.world_size, node, os.getpid(), run_id=own_run_id())


def newest_group(signs: list[Sign]) -> list[Sign]:
    """The signs of the workers that were started last, by rank."""
    newest = max((sign.started for sign in signs), default=0.0)
    return sorted((sign for sign in signs if sign.started == newest), key=lambda sign: sign.rank)
