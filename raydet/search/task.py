"""What the function that runs a trial is given and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec


class TrialTask(msgspec.Struct, frozen=True):
    """A trial, or the part of one between two meetings of its population.

    Args:
        number: of the trial.
        params: what was drawn, by name.
        options: what that makes of the config.
        seed: of the run.
        folder: of the run, absolute; a run that stands in it already goes on.
        attempt: 1 for the first start.
        source: folder of another run from whose weights a new one in `folder` goes on; empty for a new beginning.
        source_step: epochs or iterations of those weights.
    """

    number: int
    params: dict[str, Any]
    options: dict[str, Any]
    seed: int
    folder: str
    attempt: int = 1
    source: str = ""
    source_step: int = 0


ReportFunction = Callable[[int, Mapping[str, float]], bool]
"""`report(step, metrics)` after `step` epochs or iterations of the whole trial; False says: end now."""

TrialFunction = Callable[[TrialTask, ReportFunction], Mapping[str, float] | None]
"""Runs a trial to its end, or until a report says so; returns more metrics of the whole trial."""


class Finished(msgspec.Struct, frozen=True):
    """The function returned.

    Args:
        metrics: that it returned.
    """

    metrics: dict[str, float] = {}


class Broken(msgspec.Struct, frozen=True):
    """The function raised an error.

    Args:
        reason: in a sentence.
    """

    reason: str


Outcome = Finished | Broken
