"""What a report shows of a sweep, worked out once for tables, pictures and the page."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from raydet.search.records import TrialRecord
from raydet.search.report import ranking
from raydet.search.report.axes import Axis, axes_of, is_number
from raydet.search.report.importances import importances
from raydet.search.settings import Objective


class AnchorSet(msgspec.Struct, frozen=True):
    """Anchors of one config.

    Args:
        label: whose they are.
        sizes: width and height in pixels of the network input.
    """

    label: str
    sizes: tuple[tuple[float, float], ...]


class AnchorPlot(msgspec.Struct, frozen=True):
    """Anchors over the objects that they are to find.

    Args:
        boxes: width and height of training boxes, in pixels of the network input.
        sets: anchors to compare.
    """

    boxes: tuple[tuple[float, float], ...]
    sets: tuple[AnchorSet, ...]


class Overview(msgspec.Struct, frozen=True):
    """A sweep as its report sees it.

    Args:
        name: of the sweep.
        objectives: what it improves, the first one ranks.
        unit: of steps, "epoch" or "iter".
        trials: all of them, by number.
        axes: of the parameters.
        best: number of the best trial.
        default: number of the trial that the others are compared with: the one that changes nothing, else the first of
            the points that the sweep file lists.
        default_name: what that trial is called.
        improvements: (number, value) of the trials that were the best when they ended.
        front: numbers of the trials that none beats in every objective.
        importances: (parameter, share) for each objective.
        rungs: (rung, trials judged, trials stopped).
        differences: by trial, what its config has that the base config has not: key to (base value, value).
        anchors: None where the space has none.
    """

    name: str
    objectives: tuple[Objective, ...]
    unit: str
    trials: tuple[TrialRecord, ...]
    axes: tuple[Axis, ...]
    best: int | None
    default: int | None
    default_name: str
    improvements: tuple[tuple[int, float], ...]
    front: tuple[int, ...]
    importances: tuple[tuple[tuple[str, float], ...], ...]
    rungs: tuple[tuple[int, int, int], ...]
    differences: dict[int, dict[str, tuple[Any, Any]]]
    anchors: AnchorPlot | None = None

    def trial(self, number: int | None) -> TrialRecord | None:
        """The trial with a number."""
        return next((each for each in self.trials if each.number == number), None)

    def value(self, number: int | None, index: int = 0) -> float | None:
        """What a trial reached in an objective."""
        record = self.trial(number)
        return None if record is None else ranking.values_of(record, self.objectives)[index]

    def telling(self, index: int = 0) -> list[Axis]:
        """Parameters that vary, for an objective: first those that at least half of the trials have, by importance."""
        share = dict(self.importances[index])
        drawn = Counter(name for each in self.trials for name in each.params)
        varied = [axis for axis in self.axes if axis.low < axis.high or len(axis.choices) > 1]
        return sorted(varied, key=lambda axis: (2 * drawn[axis.name] < len(self.trials), -share.get(axis.name, 0.0)))

    def counts(self) -> dict[str, int]:
        """Trials by state, states that occur only."""
        states = [each.state for each in self.trials]
        order = ("complete", "pruned", "running", "waiting", "failed", "rejected")
        return {state: states.count(state) for state in order if state in states}


def overview(
    name: str,
    records: Sequence[TrialRecord],
    objectives: Sequence[Objective],
    *,
    unit: str = "epoch",
    has_points: bool = False,
    base: Mapping[str, Any] | None = None,
    anchors: AnchorPlot | None = None,
) -> Overview:
    """Work out what the records of a sweep say.

    Args:
        name: of the sweep.
        records: in any order; of a running or broken sweep too.
        objectives: at least one.
        unit: of steps.
        has_points: the first trial is one that the sweep file lists.
        base: the config before any trial changes it; None where it cannot be read.
        anchors: to be drawn.
    """
    trials = sorted(records, key=lambda each: each.number)
    axes = axes_of(trials)
    best = ranking.best_of(trials, objectives)
    differences = {each.number: differences_of(each.options, base) for each in trials}
    unchanged = None if base is None else next((number for number, keys in differences.items() if not keys), None)
    return Overview(
        name=name,
        objectives=tuple(objectives),
        unit=unit,
        trials=tuple(trials),
        axes=tuple(axes),
        best=None if best is None else best.number,
        default=0 if unchanged is None and has_points and trials else unchanged,
        default_name="default config" if unchanged is not None else "first point",
        improvements=tuple(ranking.best_so_far(trials, objectives)),
        front=tuple(each.number for each in ranking.front(trials, objectives)) if len(objectives) > 1 else (),
        importances=tuple(tuple(importances(trials, axes, objectives, i)) for i in range(len(objectives))),
        rungs=tuple(ranking.rung_counts(trials)),
        differences=differences,
        anchors=anchors,
    )


def differences_of(options: Mapping[str, Any], base: Mapping[str, Any] | None) -> dict[str, tuple[Any, Any]]:
    """What config options change: key to (value of the base config, new value).

    Of dicts that keep their `type`, the keys inside that change are listed.
    """
    changed: dict[str, tuple[Any, Any]] = {}
    for key, value in options.items():
        changed.update(_compare(key, None if base is None else _plain(_get(base, key)), _plain(value)))
    return changed


def _compare(key: str, before: Any, after: Any) -> dict[str, tuple[Any, Any]]:
    if isinstance(before, dict) and isinstance(after, dict) and before.get("type") == after.get("type"):
        inner = (_compare(f"{key}.{name}", before.get(name), after.get(name)) for name in {**before, **after})
        return {name: change for changes in inner for name, change in changes.items()}
    return {} if _same(before, after) else {key: (before, after)}


def _same(before: Any, after: Any) -> bool:
    """Whether two values are equal; numbers that were computed may be off by rounding."""
    if is_number(before) and is_number(after):
        return math.isclose(before, after, rel_tol=1e-9)
    return bool(before == after)


def _get(config: Any, key: str) -> Any:
    """The value at a dotted key, None where there is none."""
    for part in key.split("."):
        if isinstance(config, Mapping):
            config = config.get(part)
        elif isinstance(config, (list, tuple)) and part.lstrip("-").isdigit() and int(part) < len(config):
            config = config[int(part)]
        else:
            return None
    return config


def _plain(value: Any) -> Any:
    """A value as it stands in the merged config: `_delete_` is for the merge alone, and tuples are as good as lists."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items() if key != "_delete_"}
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else value
