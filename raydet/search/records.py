"""What is known of the trials of a sweep: written by the driver, read by tables, reports and resumed sweeps."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

State = Literal["waiting", "running", "complete", "pruned", "failed", "rejected"]
"""Of a trial. A rejected one broke a constraint of the space, or an expression had no value for it; it never ran."""


class Report(msgspec.Struct, frozen=True):
    """An evaluation of a trial.

    Args:
        step: epochs or iterations done, counted from the trial's own beginning.
        metrics: of the evaluation.
        time: seconds since the epoch.
    """

    step: int
    metrics: dict[str, float]
    time: float


class Decision(msgspec.Struct, frozen=True):
    """What the pruning rule said to a report.

    Args:
        step: of the report.
        rung: at which the trial was judged, None between rungs.
        value: that it was judged by.
        stop: the trial ends here.
    """

    step: int
    rung: int | None
    value: float
    stop: bool


class TrialRecord(msgspec.Struct):
    """One trial.

    Args:
        number: from 0, in the order of drawing.
        params: what was drawn, by name, as the sampler saw it.
        options: what that makes of the config, as `--cfg-options`: dotted key to value.
        seed: of the run.
        facts: what is known of the point beforehand, such as `anchor_recall`.
        state: where it stands.
        values: one for each objective once the trial ended well or was pruned.
        reports: evaluations so far, by step.
        decisions: of the pruning rule.
        started: seconds since the epoch, None before.
        ended: seconds since the epoch, None before.
        reason: why it failed, was pruned or rejected, in a sentence.
        folder: of its run, relative to the sweep folder.
        attempts: times it was started.
        source: folder of another trial's run, from whose weights the run in `folder` began.
        source_step: epochs or iterations behind those weights.
    """

    number: int
    params: dict[str, Any]
    options: dict[str, Any]
    seed: int
    facts: dict[str, float] = {}
    state: State = "waiting"
    values: tuple[float, ...] | None = None
    reports: list[Report] = []
    decisions: list[Decision] = []
    started: float | None = None
    ended: float | None = None
    reason: str = ""
    folder: str = ""
    attempts: int = 0
    source: str = ""
    source_step: int = 0
