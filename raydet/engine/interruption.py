"""Ending a run in its middle: so that it can go on elsewhere, or for good."""

from __future__ import annotations

FILE = "interrupted.pth"
"""Name of the checkpoint that an interrupted run leaves in its work dir."""


class Interrupted(Exception):  # noqa: N818  (an outcome of a run, spoken of as such)
    """The run saved a checkpoint and ended, since its environment asked for that.

    Args:
        reason: of the environment.
        iteration: iterations done.
    """

    def __init__(self, reason: str, iteration: int) -> None:
        super().__init__(f"{reason} after iteration {iteration}")
        self.reason = reason
        self.iteration = iteration

    def __reduce__(self) -> tuple[type, tuple[str, int]]:
        return type(self), (self.reason, self.iteration)


class EndTraining(Exception):  # noqa: N818  (an outcome of a run, spoken of as such)
    """Raised by a hook, on all ranks alike: the run is over here, in good order, whatever `runner` says."""
