"""How a run in workers of its own reaches the process that looks after its trial: reports there, answers back."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from raydet.distributed.cluster import this_node
from raydet.search.task import ReportFunction

Report = tuple[int, int, dict[str, float]]
"""Number of the report, steps done, metrics."""


class Mailbox:
    """Ray actor between the run's rank 0, which waits for answers, and the reader, who waits for reports."""

    def __init__(self) -> None:
        self._reports: asyncio.Queue[Report] = asyncio.Queue()
        self._answers: dict[int, asyncio.Future[bool]] = {}

    async def report(self, step: int, metrics: dict[str, float]) -> bool:
        """Put a report in and wait for its answer."""
        number = len(self._answers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self._reports.put((number, step, metrics))
        return await self._answers[number]

    async def next(self) -> Report:
        return await self._reports.get()

    async def answer(self, number: int, goes_on: bool) -> None:
        self._answers[number].set_result(goes_on)


@contextlib.contextmanager
def relayed(report: ReportFunction) -> Iterator[str]:
    """The name of a mailbox whose reports `report` answers, in a thread, as long as this is entered."""
    import ray

    name = f"raydet_trial_{secrets.token_hex(8)}"
    box = ray.remote(num_cpus=0, label_selector=this_node())(Mailbox).options(name=name).remote()
    thread = threading.Thread(target=_answer_all, args=(box, report), name="raydet-mailbox", daemon=True)
    thread.start()
    try:
        yield name
    finally:
        ray.kill(box)
        thread.join()


def _answer_all(box: Any, report: ReportFunction) -> None:
    import ray

    with contextlib.suppress(ray.exceptions.RayError):  # the mailbox is gone: the run is over
        while True:
            number, step, metrics = ray.get(box.next.remote())
            box.answer.remote(number, report(step, metrics))


def ask(name: str, step: int, metrics: Mapping[str, float]) -> bool:
    """Report through the mailbox of that name and wait for the answer.

    Without the mailbox, when somebody repeats the run of a trial with its config, there is nobody to ask: it goes on.
    """
    import ray

    if not ray.is_initialized():
        return True
    try:
        box = ray.get_actor(name)
    except ValueError:
        return True
    return bool(ray.get(box.report.remote(step, dict(metrics))))
