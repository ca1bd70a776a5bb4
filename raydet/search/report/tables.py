"""Tables of a sweep: one Parquet row per trial, and a leaderboard to read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raydet.search.records import TrialRecord
from raydet.search.report import ranking
from raydet.search.report.axes import Axis, text_of
from raydet.search.report.overview import Overview

if TYPE_CHECKING:
    import pyarrow as pa

TOP = 20
"""Trials with a line of their own in the leaderboard."""


def write_parquet(view: Overview, file: Path) -> None:
    """One row per trial; typed columns `value_METRIC`, `param_NAME` and `fact_NAME`."""
    import pyarrow.parquet as pq

    pq.write_table(trials_table(view), file)


def trials_table(view: Overview) -> pa.Table:
    """All trials by number."""
    import pyarrow as pa

    trials = view.trials
    values = [ranking.values_of(each, view.objectives) for each in trials]
    columns: dict[str, Any] = {
        "number": pa.array([each.number for each in trials], pa.int32()),
        "state": pa.array([each.state for each in trials], pa.string()),
    }
    for index, objective in enumerate(view.objectives):
        columns[f"value_{objective.metric}"] = pa.array([each[index] for each in values], pa.float64())
    columns |= {f"param_{axis.name}": _param_column(trials, axis) for axis in view.axes}
    for name in dict.fromkeys(name for each in trials for name in each.facts):
        columns[f"fact_{name}"] = pa.array([each.facts.get(name) for each in trials], pa.float64())
    columns |= {
        "steps": pa.array([ranking.steps_of(each) for each in trials], pa.int64()),
        "started": pa.array([each.started for each in trials], pa.float64()),
        "ended": pa.array([each.ended for each in trials], pa.float64()),
        "seed": pa.array([each.seed for each in trials], pa.int64()),
        "attempts": pa.array([each.attempts for each in trials], pa.int32()),
        "reason": pa.array([each.reason for each in trials], pa.string()),
        "folder": pa.array([each.folder for each in trials], pa.string()),
        "options": pa.array([json.dumps(each.options, default=str) for each in trials], pa.string()),
    }
    return pa.table(columns)


def _param_column(trials: tuple[TrialRecord, ...], axis: Axis) -> pa.Array:
    """Numbers and truth values keep their type; other choices become text."""
    import pyarrow as pa

    values = [each.params.get(axis.name) for each in trials]
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    if axis.kind != "choice":
        return pa.array(values, pa.int64() if kinds == {int} else pa.float64())
    return pa.array([None if value is None else text_of(value) for value in values], pa.string())


def leaderboard(view: Overview) -> str:
    """Markdown: the outcome in a sentence, the best trials, and what became of the others."""
    parts = [f"# {view.name}", *outcome(view), "\n".join(_table(view))]
    troubles = [each for each in view.trials if each.state in ("failed", "rejected")]
    if troubles:
        parts += ["## Failed and rejected trials", "\n".join(f"- {each.number}: {each.reason}" for each in troubles)]
    return "\n\n".join(parts) + "\n"


def outcome(view: Overview) -> list[str]:
    """Sentences: how many trials there are, what the best one reached, and how that compares with the default."""
    counts = ", ".join(f"{count} {state}" for state, count in view.counts().items())
    sentences = [f"{len(view.trials)} trials: {counts}." if view.trials else "No trial has started yet."]
    best = view.trial(view.best)
    value = view.value(view.best)
    if best is not None and value is not None:
        metric = view.objectives[0].metric
        partly = "" if best.state == "complete" else f", which was pruned after {ranking.steps_of(best)} {view.unit}s"
        sentences.append(f"Best: trial {best.number} with {metric} {text_of(value)}{partly}.{_against_default(view)}")
    if view.front:
        sentences.append(f"Trials that no other beats in every objective: {', '.join(map(str, view.front))}.")
    return sentences


def _against_default(view: Overview) -> str:
    default, best = view.value(view.default), view.value(view.best)
    if default is None or best is None:
        return ""
    if view.default == view.best:
        return f" That is the {view.default_name}: nothing beat it."
    return f" The {view.default_name} (trial {view.default}) has {text_of(default)}: {change(default, best)}."


def change(before: float, after: float) -> str:
    """A difference with its sign, and in per cent where that means something."""
    relative = f" ({100 * (after - before) / before:+.1f} %)" if before > 0 else ""
    return f"{after - before:+.4g}{relative}"


def _table(view: Overview) -> Iterator[str]:
    names = [axis.name for axis in view.axes]
    labels = [axis.label for axis in view.axes]
    yield _row(["rank", "trial", "state", f"{view.unit}s", *(each.metric for each in view.objectives), *labels])
    yield _row(["---:", "---:", "---", *["---:"] * (1 + len(view.objectives)), *["---"] * len(names)])
    for rank, record in enumerate(ranking.ranked(view.trials, view.objectives)[:TOP], 1):
        marks = " (default)" if record.number == view.default else ""
        values = ["" if each is None else f"{each:.4g}" for each in ranking.values_of(record, view.objectives)]
        params = [text_of(record.params[name]) if name in record.params else "" for name in names]
        yield _row([rank, f"{record.number}{marks}", record.state, ranking.steps_of(record), *values, *params])


def _row(cells: list[Any]) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"
