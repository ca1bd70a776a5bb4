"""A sweep that goes on where its driver died waits until Ray has ended that driver's trials: two in a folder clash."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

DRIVER = "driver.json"
PATIENCE = 180.0
"""Seconds for Ray to see that a driver is gone: none when its process died, half a minute when its machine did."""


class Driver(msgspec.Struct, frozen=True):
    """What runs a sweep on Ray.

    Args:
        session: of the cluster; no other one has it.
        job: of Ray, as a hex number.
    """

    session: str
    job: str


def take_over(folder: Path, say: Callable[[str], None], patience: float = PATIENCE) -> None:
    """Wait until the connected cluster runs nothing of an earlier driver of the sweep, then take its place.

    Args:
        folder: of the sweep.
        say: prints a line when there is something to wait for.
        patience: seconds to wait.

    Raises:
        TimeoutError: something still runs.
    """
    import ray

    context = ray.get_runtime_context()
    own = Driver(context.get_session_name(), context.get_job_id())
    note = folder / DRIVER
    earlier = msgspec.json.decode(note.read_bytes(), type=Driver) if note.exists() else own
    if earlier.session == own.session and earlier.job != own.job:
        _wait_for_end(earlier.job, say, patience)
    note.write_bytes(msgspec.json.encode(own))


def _wait_for_end(job: str, say: Callable[[str], None], patience: float) -> None:
    deadline, told = time.monotonic() + patience, False
    while left := _actors(job):
        if not told:
            say("the trials of the sweep's earlier driver have not ended yet; waiting for that")
            told = True
        if time.monotonic() > deadline:
            where = ", ".join(f"process {each['Pid']} on {each['Address']['IPAddress']}" for each in left[:5])
            raise TimeoutError(
                f"the sweep still runs in the Ray job {job} ({where}): end its driver first, or these processes"
            )
        time.sleep(0.5)


def _actors(job: str) -> list[dict[str, Any]]:
    """Actors of a job that end with it and have not ended yet."""
    import ray
    from ray._private.state import actors

    found = actors(job_id=ray.JobID.from_hex(job)).values()
    return [each for each in found if each["State"] != "DEAD" and not each["IsDetached"]]
