"""What happens when a worker fails: try again after a loss, stop at once after a mistake."""

from __future__ import annotations

from typing import Any

from ray.train import UserCallback

from raydet.distributed.monitor import Reporter

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


class StopAtMistakes(UserCallback):
    """Ends a run when a worker raised an error of the program, instead of restarting it `max_failures` times.

    Runs in Ray Train's controller, which ends a run whose callback raises.

    Args:
        reporter: tells the driver what failed.
    """

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
        """Called by Ray, by keyword, with the error of each failed rank."""
        causes = {rank: root_cause(error) for rank, error in worker_exceptions.items()}
        mistakes = {rank: cause for rank, cause in causes.items() if isinstance(cause, MISTAKES)}
        if mistakes:
            rank, mistake = min(mistakes.items())
            self._reporter.send("mistake", (rank, mistake, str(worker_exceptions[rank])))
            raise mistake
        told = {f"rank {rank}": f"{type(cause).__name__}: {_first_line(cause)}" for rank, cause in causes.items()}
        self._reporter.tell("failure", {"causes": told})
        words = "; ".join(f"{rank}: {cause}" for rank, cause in told.items())
        self._reporter.send(
            "log", f"raydet: worker failure ({words}); going on from the last checkpoint if tries are left"
        )


def root_cause(error: BaseException) -> BaseException:
    """The user's own exception inside Ray's wrappers."""
    inner = getattr(error, "_base_exc", None) or getattr(error, "cause", None)
    return root_cause(inner) if isinstance(inner, BaseException) else error


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [""])[0][:200]
