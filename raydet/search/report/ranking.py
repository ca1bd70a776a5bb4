"""Which trials are good: the best one, the front of several objectives, and how the best changed over time."""

from __future__ import annotations

import math
from collections.abc import Sequence

from raydet.search.records import Report, TrialRecord
from raydet.search.settings import Objective

RANKED = ("complete", "pruned")


def values_of(record: TrialRecord, objectives: Sequence[Objective]) -> list[float | None]:
    """One number for each objective: the trial's values, or those of its last evaluation; None where unknown."""
    if record.values is not None:
        return list(record.values)
    for report in reversed(record.reports):
        found = [report.metrics.get(each.metric) for each in objectives]
        if any(value is not None for value in found):
            return found
    return [None] * len(objectives)


def is_finite(values: Sequence[float | None]) -> bool:
    """Whether every objective has a usable number."""
    return all(value is not None and math.isfinite(value) for value in values)


def cost(value: float, objective: Objective) -> float:
    """The value as something to make small."""
    return -value if objective.mode == "max" else value


def ranked(records: Sequence[TrialRecord], objectives: Sequence[Objective]) -> list[TrialRecord]:
    """All trials, best first: complete ones by the first objective, pruned ones by progress and value, the rest."""
    return sorted(records, key=lambda record: _rank(record, objectives))


def _rank(record: TrialRecord, objectives: Sequence[Objective]) -> tuple[int, int, float, int]:
    values = values_of(record, objectives)
    if record.state not in RANKED or not is_finite(values):
        return (len(RANKED), 0, 0.0, record.number)
    assert values[0] is not None
    steps = 0 if record.state == "complete" else -steps_of(record)
    return (RANKED.index(record.state), steps, cost(values[0], objectives[0]), record.number)


def steps_of(record: TrialRecord) -> int:
    """Epochs or iterations that the trial has behind it."""
    return max((report.step for report in record.reports), default=0)


def best_of(records: Sequence[TrialRecord], objectives: Sequence[Objective]) -> TrialRecord | None:
    """The best complete trial by the first objective; the best pruned one where none is complete."""
    first = next(iter(ranked(records, objectives)), None)
    return first if first is not None and first.state in RANKED and is_finite(values_of(first, objectives)) else None


def front(records: Sequence[TrialRecord], objectives: Sequence[Objective]) -> list[TrialRecord]:
    """Complete trials that no other one beats in every objective, by the first one."""
    costs = {
        record.number: [cost(value, each) for value, each in zip(record.values or (), objectives, strict=True)]
        for record in records
        if record.state == "complete" and record.values is not None and is_finite(record.values)
    }
    kept = [
        record
        for record in records
        if record.number in costs and not any(_beats(other, costs[record.number]) for other in costs.values())
    ]
    return sorted(kept, key=lambda record: costs[record.number])


def _beats(one: Sequence[float], other: Sequence[float]) -> bool:
    return list(one) != list(other) and all(a <= b for a, b in zip(one, other, strict=True))


def by_end(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Ended trials in the order in which they ended."""
    return sorted((each for each in records if each.ended is not None), key=lambda each: (each.ended, each.number))


def best_so_far(records: Sequence[TrialRecord], objectives: Sequence[Objective]) -> list[tuple[int, float]]:
    """(number, value of the first objective) of each complete trial that was the best one when it ended."""
    steps: list[tuple[int, float]] = []
    for record in by_end(records):
        if record.state == "complete" and record.values is not None and is_finite(record.values):
            value = record.values[0]
            if not steps or cost(value, objectives[0]) < cost(steps[-1][1], objectives[0]):
                steps.append((record.number, value))
    return steps


def curve(reports: Sequence[Report], metric: str) -> list[tuple[int, float]]:
    """(step, value) of a metric over a trial's evaluations."""
    return [(each.step, each.metrics[metric]) for each in reports if metric in each.metrics]


def rung_counts(records: Sequence[TrialRecord]) -> list[tuple[int, int, int]]:
    """(rung, trials judged there, trials stopped there), from the lowest rung."""
    judged: dict[int, int] = {}
    stopped: dict[int, int] = {}
    for decision in (each for record in records for each in record.decisions):
        if decision.rung is not None:
            judged[decision.rung] = judged.get(decision.rung, 0) + 1
            stopped[decision.rung] = stopped.get(decision.rung, 0) + decision.stop
    return [(rung, judged[rung], stopped[rung]) for rung in sorted(judged)]
