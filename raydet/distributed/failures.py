"""What happens when a worker fails: try again after a loss, stop at once after a mistake."""

from __future__ import annotations

import time
from typing import Any

from ray.train import UserCallback
from ray.train.v2._internal.exceptions import WorkerHealthCheckTimeoutError

from raydet.distributed import reservations
from raydet.distributed.fault_tolerance import FaultTolerance
from raydet.distributed.monitor import Reporter
from raydet.distributed.storage import RunFolder
from raydet.distributed.words import first_line

MISTAKES = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    NameError,
    ImportError,
    FileNotFoundError,
    NotImplementedError,
    AssertionError,
)
"""Errors that come back when the same program runs again; lost nodes, full disks and broken connections are others."""


_NODE_LOSS = 3.0
"""Seconds until Ray has noticed that the node of lost workers is gone as well."""
_REPEATED = 3.0
"""While a node goes, Ray tells of the same errors with every poll; new workers take longer to fail."""


class FailureHandler(UserCallback):
    """Ends a run when a worker raised an error of the program; tells of losses, and waits before they come too often.

    Runs in Ray Train's controller, which ends a run whose callback raises.

    Args:
        reporter: tells the driver what failed.
        faults: limits and times.
        folder: of the run.
        elastic: the number of workers follows from the nodes that are there.
    """

    def __init__(self, reporter: Reporter, faults: FaultTolerance, folder: RunFolder, elastic: bool = False) -> None:
        self._reporter = reporter
        self._faults = faults
        self._folder = folder
        self._elastic = elastic
        self._restarts = 0
        self._failed = float("-inf")

    def after_report(self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Any) -> None:
        """Called by Ray, by keyword, when all workers have reported."""
        if checkpoint is not None:
            self._restarts = 0

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
        """Called by Ray, by keyword, with the error of each failed rank."""
        causes = {rank: root_cause(error) for rank, error in worker_exceptions.items()}
        mistakes = {rank: cause for rank, cause in causes.items() if isinstance(cause, MISTAKES)}
        if mistakes:
            rank, mistake = min(mistakes.items())
            self._reporter.send("mistake", (rank, mistake, str(worker_exceptions[rank])))
            raise mistake
        repeated = time.monotonic() - self._failed < _REPEATED
        self._failed = time.monotonic()
        if repeated:
            return
        told = "; ".join(f"rank {rank}: {type(cause).__name__}: {first_line(cause)}" for rank, cause in causes.items())
        self._reporter.send("failure", told)
        self._reporter.tell("failure", {"errors": {str(rank): repr(cause)[:500] for rank, cause in causes.items()}})
        if any(isinstance(cause, WorkerHealthCheckTimeoutError) for cause in causes.values()):
            self._save_stacks()
        self._restarts += 1
        wait = self._faults.wait_before(self._restarts)
        if wait:
            self._reporter.send("note", f"raydet: failed {self._restarts} times since a checkpoint; waiting {wait:g} s")
            time.sleep(wait)
        if self._elastic:
            time.sleep(max(_NODE_LOSS - wait, 0.0))
            reservations.refresh()

    def _save_stacks(self) -> None:
        """Save where a worker that does not answer and the others stand."""
        import ray

        from raydet.distributed.signs import newest_group
        from raydet.distributed.stacks import save_stacks

        try:
            signs = newest_group(ray.get(self._reporter.box.signs.remote(), timeout=30))
            place = save_stacks(signs, self._folder, kill=True)
        except (ray.exceptions.RayError, OSError) as error:  # the restart matters more
            self._reporter.send("note", f"raydet: the stacks could not be saved: {first_line(error)}")
        else:
            self._reporter.send("note", f"raydet: the stacks of all ranks are in {self._folder}/{place}")


def root_cause(error: BaseException) -> BaseException:
    """The user's own exception inside Ray's wrappers."""
    names = ("_base_exc", "cause", "health_check_failure")
    inner = next((each for name in names if isinstance(each := getattr(error, name, None), BaseException)), None)
    return error if inner is None else root_cause(inner)
