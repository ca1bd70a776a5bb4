"""A run of a trial's function in a thread that waits for an answer to each of its reports."""

from __future__ import annotations

import queue
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path

import msgspec

from raydet.search.task import Broken, Finished, Outcome, TrialFunction, TrialTask

ERROR_FILE = "error.txt"


class Evaluated(msgspec.Struct, frozen=True):
    """The function reported and waits."""

    step: int
    metrics: dict[str, float]


class Attempt:
    """The function at work.

    Args:
        function: runs the trial.
        task: the trial.
    """

    def __init__(self, function: TrialFunction, task: TrialTask) -> None:
        self._events: queue.Queue[Evaluated | Outcome] = queue.Queue()
        self._answers: queue.Queue[bool] = queue.Queue()
        self._ending = False
        self._thread = threading.Thread(target=self._run, args=(function, task), name="raydet-trial", daemon=True)
        self._thread.start()

    def next_event(self) -> Evaluated | Outcome:
        """Wait for what comes next; a report must be answered before anything else comes."""
        return self._events.get()

    def answer(self, go_on: bool) -> None:
        """Let the function go on after a report, or ask it to end."""
        self._answers.put(go_on)

    def stop(self, timeout: float) -> bool:
        """Ask the function to end, at its next report if it is not waiting at one; says whether it did."""
        self._ending = True
        self._answers.put(False)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self, function: TrialFunction, task: TrialTask) -> None:
        self._events.put(run_function(function, task, self._report))

    def _report(self, step: int, metrics: Mapping[str, float]) -> bool:
        if self._ending:
            return False
        self._events.put(Evaluated(step, plain_metrics(metrics)))
        return self._answers.get() and not self._ending


def plain_metrics(metrics: Mapping[str, float]) -> dict[str, float]:
    """The numbers among metrics, as Python's."""
    return {name: float(value) for name, value in metrics.items() if isinstance(value, (int, float))}


def run_function(function: TrialFunction, task: TrialTask, report: object) -> Outcome:
    """Run a trial's function; an error is an outcome too, and its traceback is left in the folder of the run."""
    try:
        return Finished(plain_metrics(function(task, report) or {}))  # type: ignore[arg-type]
    except Exception as error:
        _leave_trace(Path(task.folder))
        return Broken(reason_of(error))


def reason_of(error: BaseException) -> str:
    """An error in a sentence."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:500]}" if lines else type(error).__name__


def _leave_trace(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ERROR_FILE).write_text(traceback.format_exc())
    except OSError:
        return  # the reason stands in the ledger in any case
