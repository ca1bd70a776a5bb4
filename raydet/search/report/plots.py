"""The plots of a report as PNG files."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from raydet.search.records import TrialRecord
from raydet.search.report import ranking
from raydet.search.report.axes import Axis, text_of
from raydet.search.report.overview import Overview

ACCENT, FAINT, BEST, BAD = "#1f5fbf", "#c3cddb", "#c2410c", "#b00020"
SIZE = (9.0, 4.5)
"""Inches, at 120 dots each."""
MOST_AXES = 9
"""Parameters side by side."""


def write_plots(view: Overview, folder: Path) -> list[Path]:
    """Write what can be drawn of a sweep, and return the files.

    Raises:
        ImportError: matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("plots as PNG need matplotlib: pip install 'raydet[viz]'") from error
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, (is_there, draw) in PLOTS.items():
        file = folder / f"{name}.png"
        file.unlink(missing_ok=True)
        if is_there(view):
            figure = Figure(SIZE, layout="constrained")
            draw(view, figure)
            figure.savefig(file, dpi=120)
            written.append(file)
    return written


def _valued(view: Overview) -> list[TrialRecord]:
    return [each for each in view.trials if ranking.is_finite(ranking.values_of(each, view.objectives))]


def _value(view: Overview, trial: TrialRecord, index: int = 0) -> float:
    value = ranking.values_of(trial, view.objectives)[index]
    return math.nan if value is None else value


def _style(view: Overview, trial: TrialRecord) -> dict[str, Any]:
    """Colour and place of a trial in all plots."""
    if trial.number == view.best:
        return {"color": BEST, "zorder": 4}
    if trial.number == view.default:
        return {"color": "black", "zorder": 3}
    return {"color": ACCENT if trial.state == "complete" else FAINT, "zorder": 2 if trial.state == "complete" else 1}


def _scatter(view: Overview, axes: Any, points: Sequence[tuple[TrialRecord, Any, float]]) -> None:
    groups: dict[tuple[Any, ...], list[tuple[Any, float]]] = {}
    for trial, x, y in points:
        groups.setdefault(tuple(_style(view, trial).items()), []).append((x, y))
    for style, places in groups.items():
        size = 60 if dict(style)["zorder"] > 2 else 22
        axes.scatter(*zip(*places, strict=True), s=size, edgecolors="white", linewidths=0.5, **dict(style))


def _history(view: Overview, figure: Any) -> None:
    axes = figure.subplots()
    ended = ranking.by_end(view.trials)
    place = {trial.number: index for index, trial in enumerate(ended, 1)}
    _scatter(view, axes, [(each, place[each.number], _value(view, each)) for each in ended])
    if view.improvements:
        numbers, values = zip(*view.improvements, strict=True)
        steps = [*(place[number] for number in numbers), len(ended)]
        axes.step(steps, [*values, values[-1]], where="post", color=BEST, label="best so far")
        axes.legend(loc="best", frameon=False)
    axes.set(xlabel="trials, in the order of their end", ylabel=view.objectives[0].metric, title="History")


def _curves(view: Overview, figure: Any) -> None:
    axes = figure.subplots()
    metric = view.objectives[0].metric
    for trial in view.trials:
        points = ranking.curve(trial.reports, metric)
        if points:
            axes.plot(*zip(*points, strict=True), linewidth=1.2, **_style(view, trial))
    axes.set(xlabel=f"{view.unit}s", ylabel=metric, title="Learning curves")


def _rungs(view: Overview, figure: Any) -> None:
    axes = figure.subplots()
    names = [f"{view.unit} {rung}" for rung, _, _ in view.rungs]
    axes.barh(names, [judged for _, judged, _ in view.rungs], color=FAINT, label="judged")
    axes.barh(names, [judged - stopped for _, judged, stopped in view.rungs], color=ACCENT, label="went on")
    axes.invert_yaxis()
    axes.legend(frameon=False)
    axes.set(xlabel="trials", title="Rung survival")


def _importances(view: Overview, figure: Any) -> None:
    axes = figure.subplots()
    names, shares = zip(*view.importances[0][:MOST_AXES], strict=True)
    labels = {axis.name: axis.label for axis in view.axes}
    axes.barh([labels[name] for name in names], shares, color=ACCENT)
    axes.invert_yaxis()
    axes.set(xlabel="share", title=f"Importances for {view.objectives[0].metric}")


def _slices(view: Overview, figure: Any) -> None:
    shown = view.telling()[: 2 * MOST_AXES]
    columns = min(4, len(shown))
    rows = math.ceil(len(shown) / columns)
    figure.set_size_inches(3 * columns, 2.8 * rows)
    grid = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in grid[len(shown) :]:
        axes.set_visible(False)
    for axis, axes in zip(shown, grid, strict=False):
        trials = [each for each in _valued(view) if axis.name in each.params]
        _scatter(view, axes, [(each, axis.place(each.params[axis.name]), _value(view, each)) for each in trials])
        axes.set_xlabel(axis.label)
        if axis.kind == "log":
            axes.set_xscale("log")
    figure.supylabel(view.objectives[0].metric)


def _parallel(view: Overview, figure: Any) -> None:
    axes = figure.subplots()
    shown, trials = view.telling()[:MOST_AXES], _valued(view)
    values = [_value(view, trial) for trial in trials]
    value_axis = Axis("", "", "linear", low=min(values), high=max(values))
    for trial, value in zip(trials, values, strict=True):
        heights = [_height(axis, trial.params.get(axis.name)) for axis in shown]
        axes.plot([*heights, _height(value_axis, value)], linewidth=1.2, **_style(view, trial))
    names = [axis.label for axis in shown] + [view.objectives[0].metric]
    axes.set_xticks(range(len(names)), names, rotation=20, ha="right")
    axes.set_yticks([])
    for index, axis in enumerate(shown):
        low, high = (axis.choices[0], axis.choices[-1]) if axis.kind == "choice" else (axis.low, axis.high)
        axes.axvline(index, color="grey", linewidth=0.8)
        axes.text(index, -0.02, text_of(low), ha="center", va="top", fontsize=8)
        axes.text(index, 1.02, text_of(high), ha="center", va="bottom", fontsize=8)
    axes.set(ylim=(-0.18, 1.1), title="Parallel coordinates; below the axis: not set")


def _height(axis: Axis, value: Any) -> float:
    """Where a value stands on an axis from 0 to 1; below where it is not set."""
    if value is None:
        return -0.1
    if axis.kind == "choice":
        return axis.choices.index(text_of(value)) / max(1, len(axis.choices) - 1)
    change = math.log if axis.kind == "log" else float
    low, high = change(axis.low), change(axis.high)
    return (change(value) - low) / (high - low) if high > low else 0.5


def _pareto(view: Overview, figure: Any) -> None:
    others = range(1, len(view.objectives))
    for second, axes in zip(others, figure.subplots(1, len(others), squeeze=False).flat, strict=True):
        _scatter(view, axes, [(each, _value(view, each, second), _value(view, each)) for each in _valued(view)])
        points = sorted(
            (_value(view, each, second), _value(view, each)) for each in view.trials if each.number in view.front
        )
        axes.plot(*zip(*points, strict=True), color=BEST, marker="o", markersize=9, markerfacecolor="none")
        axes.set(xlabel=_named(view, second), ylabel=_named(view, 0), title="Pareto front")


def _named(view: Overview, index: int) -> str:
    return f"{view.objectives[index].metric} ({view.objectives[index].mode})"


def _anchors(view: Overview, figure: Any) -> None:
    assert view.anchors is not None
    axes = figure.subplots()
    axes.scatter(*zip(*view.anchors.boxes, strict=True), s=10, color=ACCENT, alpha=0.3, label="training boxes")
    for each, color, marker in zip(view.anchors.sets, ("black", BEST), ("D", "s"), strict=False):
        axes.scatter(
            *zip(*each.sizes, strict=True), s=50, marker=marker, facecolors="none", edgecolors=color, label=each.label
        )
    axes.set(
        xscale="log", yscale="log", xlabel="width in pixels of the network's input", ylabel="height", title="Anchors"
    )
    axes.legend(frameon=False)


PLOTS: dict[str, tuple[Callable[[Overview], Any], Callable[[Overview, Any], None]]] = {
    "history": (lambda view: ranking.by_end(view.trials), _history),
    "curves": (lambda view: any(len(each.reports) > 1 for each in view.trials), _curves),
    "rungs": (lambda view: view.rungs, _rungs),
    "importances": (lambda view: view.importances and view.importances[0], _importances),
    "slices": (lambda view: view.telling() and _valued(view), _slices),
    "parallel": (lambda view: view.telling() and _valued(view), _parallel),
    "pareto": (lambda view: view.front, _pareto),
    "anchors": (lambda view: view.anchors, _anchors),
}
"""By name: whether there is anything to draw, and what draws it."""
