"""The report of a sweep as one page: plots that answer to the pointer, and a table of all trials."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Iterator
from typing import Any

import msgspec

from raydet.distributed.words import duration
from raydet.search.records import TrialRecord
from raydet.search.report import ranking
from raydet.search.report.axes import short_names, text_of
from raydet.search.report.document import document, part
from raydet.search.report.overview import Overview
from raydet.search.report.tables import change, outcome

PLOTS = {
    "history": ("History", "Each trial where it ended; the line is the best so far. Stronger colour is better."),
    "parallel": (
        "Parallel coordinates",
        "Each line is a trial, over the parameters that matter most. Drag along an axis to keep the trials that pass "
        "there, in all plots; a click undoes it.",
    ),
    "curves": ("Learning curves", "Values of the evaluations while trials run; dotted uprights are the rungs."),
    "rungs": ("Rung survival", "At each rung trials are compared, and all but the best are stopped."),
    "importances": ("Importances", "Share of each parameter in what makes a trial good (PED-ANOVA)."),
    "slices": ("Slices", "The value over one parameter at a time."),
    "pareto": ("Pareto front", "Ringed trials are beaten by no other in every objective."),
    "anchors": (
        "Anchors over the data",
        "Dots are training boxes at the size at which the network sees them; diamonds are the anchors of the base "
        "config, squares those of the best trial.",
    ),
}
ROWS = (("history",), ("parallel",), ("rungs", "importances"), ("curves", "anchors"), ("slices",), ("pareto",))
"""Sections from top to bottom; two that stand side by side go below each other where there is no room."""


def page(view: Overview) -> str:
    """The whole page."""
    body = [
        "<main>",
        *(f"<p class='lead'>{html.escape(sentence)}</p>" for sentence in [" ".join(outcome(view))]),
        _cards(view),
        _controls(view),
        *_sections(view),
        _best(view),
        _trials(view),
        "</main><div id='tip' hidden></div>",
        f"<script type='application/json' id='sweep'>{_data(view)}</script>",
        "<noscript><p>The plots need JavaScript; the folder plots/ has them as pictures.</p></noscript>",
    ]
    return document(f"Sweep {view.name}", "".join(body), style=part("page.css"), script=part("page.js"))


def _cards(view: Overview) -> str:
    """The few numbers that matter most."""
    metric = view.objectives[0].metric
    best, default = view.value(view.best), view.value(view.default)
    cards = [(_number(best), f"best {metric}" + ("" if view.best is None else f", trial {view.best}"), "")]
    if best is not None and default is not None:
        cards.append(
            (
                change(default, best),
                f"against {_number(default)} of the {view.default_name}, trial {view.default}",
                "up",
            )
        )
    seconds = [each.ended - each.started for each in view.trials if each.ended and each.started]
    states = ", ".join(f"{count} {state}" for state, count in view.counts().items())
    cards += [
        (str(len(view.trials)), states or "trials", ""),
        (f"{sum(map(ranking.steps_of, view.trials)):,}", f"{view.unit}s trained in all", ""),
        (duration(sum(seconds)), f"of trials; {duration(_wall(view))} from first to last", ""),
    ]
    shown = (
        f"<div class='card'><b class='{css}'>{html.escape(number)}</b><span>{html.escape(label)}</span></div>"
        for number, label, css in cards
    )
    return f"<div class='cards'>{''.join(shown)}</div>"


def _wall(view: Overview) -> float:
    starts = [each.started for each in view.trials if each.started]
    ends = [each.ended or max((report.time for report in each.reports), default=0.0) for each in view.trials]
    return max(0.0, max(ends) - min(starts)) if starts else 0.0


def _controls(view: Overview) -> str:
    """A choice between objectives where there are several, and what the marks mean."""
    choice = ""
    if len(view.objectives) > 1:
        names = "".join(f"<option>{html.escape(each.metric)}</option>" for each in view.objectives)
        choice = f"<label>Objective <select id='objective'>{names}</select></label>"
    return f"<div class='controls'>{choice}{_KEY}<button id='clear' type='button'>Clear marks</button></div>"


def _key(drawing: str, label: str) -> str:
    return f"<span class='key'><svg style='width:22px' height='14' aria-hidden='true'>{drawing}</svg>{label}</span>"


_KEY = "".join(
    [
        _key("<circle cx='11' cy='7' r='5' fill='var(--accent)'/>", "complete"),
        _key("<circle cx='11' cy='7' r='4.5' fill='none' stroke='var(--accent)' stroke-width='1.6'/>", "pruned"),
        _key("<path d='M7 3l8 8m0-8l-8 8' stroke='var(--bad)' stroke-width='1.6'/>", "failed"),
        _key("<circle cx='11' cy='7' r='6' fill='var(--best)'/>", "best"),
        _key("<circle cx='11' cy='7' r='5' fill='none' stroke='var(--text)' stroke-width='2.4'/>", "default"),
    ]
)


def _sections(view: Overview) -> Iterator[str]:
    there = {
        "history": any(each.ended is not None for each in view.trials),
        "parallel": bool(view.telling()),
        "curves": any(len(each.reports) > 1 for each in view.trials),
        "rungs": bool(view.rungs),
        "importances": any(view.importances),
        "slices": bool(view.telling()),
        "pareto": bool(view.front),
        "anchors": view.anchors is not None,
    }
    for names in ROWS:
        shown = [_plot(name) for name in names if there[name]]
        if shown:
            yield f"<div class='pair'>{''.join(shown)}</div>" if len(shown) > 1 else shown[0]


def _plot(name: str) -> str:
    title, caption = PLOTS[name]
    return f"<section><h2 id='{name}'>{title}</h2><p>{caption}</p><div class='plot' data-plot='{name}'></div></section>"


def _best(view: Overview) -> str:
    """What the best config changes, and how to go on with it."""
    if view.best is None:
        return ""
    changes = view.differences[view.best]
    shown = {key: ["not set" if value is None else _short(value) for value in pair] for key, pair in changes.items()}
    lines = "\n".join(f"{key}: {old} -> {new}" for key, (old, new) in shown.items())
    return (
        "<section><h2>Best config</h2>"
        f"<p>Trial {view.best} changes the base config thus; best_config.py is all of it.</p>"
        f"<pre>{html.escape(lines or 'nothing: the default is the best')}</pre>"
        "<pre>raydet train best_config.py</pre></section>"
    )


def _trials(view: Overview) -> str:
    """All trials, best first; headings sort."""
    heads = ["trial", "state", *(each.metric for each in view.objectives), f"{view.unit}s", "time"]
    cells = "".join(f"<th scope='col'><button type='button'>{html.escape(each)}</button></th>" for each in heads)
    rows = "".join(_trial(view, record) for record in ranking.ranked(view.trials, view.objectives))
    return (
        "<section><h2 id='table'>Trials</h2><p>Best first; a click on a heading sorts.</p><div class='wide'>"
        f"<table id='trials'><thead><tr>{cells}<th scope='col'>what differs from the base config</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div></section>"
    )


def _trial(view: Overview, record: TrialRecord) -> str:
    values = ranking.values_of(record, view.objectives)
    seconds = record.ended - record.started if record.ended and record.started else None
    tags = [("best-tag", "best")] * (record.number == view.best) + [("", "default")] * (record.number == view.default)
    names = "".join(f" <span class='tag {css}'>{label}</span>" for css, label in tags)
    differences = view.differences[record.number]
    labels = short_names(differences)
    changes = "".join(f"<li>{_change(key, labels[key], *each)}</li>" for key, each in differences.items())
    facts = "".join(f"<li class='note'>{html.escape(name)} {_number(each)}</li>" for name, each in record.facts.items())
    reason = f"<div class='error'>{html.escape(record.reason)}</div>" if record.state in ("failed", "rejected") else ""
    note = f"<div class='note'>{html.escape(record.reason)}</div>" if record.reason and not reason else ""
    return (
        f"<tr data-trial='{record.number}'><td data-key='{record.number}'>{record.number}{names}</td>"
        f"<td data-key='{record.state}'><span class='tag {record.state}'>{record.state}</span></td>"
        + "".join(f"<td data-key='{'' if each is None else each}'>{_number(each)}</td>" for each in values)
        + f"<td data-key='{ranking.steps_of(record)}'>{ranking.steps_of(record)}</td>"
        f"<td data-key='{seconds or ''}'>{'' if seconds is None else duration(seconds)}</td>"
        f"<td><ul>{changes}{facts}</ul>{reason}{note}</td></tr>"
    )


def _change(key: str, label: str, old: Any, new: Any) -> str:
    before = "" if old is None else f"<del>{html.escape(_short(old))}</del> → "
    after = html.escape("not set" if new is None else _short(new))
    return f"<code title='{html.escape(key, quote=True)}'>{html.escape(label)} = {before}{after}</code>"


def _short(value: Any) -> str:
    """A config value on a line."""
    if isinstance(value, dict):
        inner = ", ".join(f"{key}={_short(each)}" for key, each in value.items() if key != "type")
        return f"{value['type']}({inner})" if "type" in value else f"dict({inner})"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_short, value))}]"
    return text_of(value) if not isinstance(value, str) else value


def _number(value: float | None) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:.4g}"


def _data(view: Overview) -> str:
    """What the script draws, as JSON that cannot end its element."""
    steps = {each.step for trial in view.trials for each in trial.decisions if each.rung is not None}
    data = {
        **{
            name: getattr(view, name)
            for name in ("unit", "best", "default", "front", "importances", "rungs", "anchors")
        },
        "objectives": view.objectives,
        "axes": view.axes,
        "telling": [[axis.name for axis in view.telling(index)] for index in range(len(view.objectives))],
        "rung_steps": sorted(steps) if len(steps) <= 12 else [],
        "trials": [_trial_data(view, trial) for trial in view.trials],
    }
    return (
        json.dumps(msgspec.to_builtins(data, str_keys=True), default=str).replace("<", "\\u003c").replace("NaN", "null")
    )


def _trial_data(view: Overview, trial: TrialRecord) -> dict[str, Any]:
    axes = {axis.name: axis for axis in view.axes}
    return {
        "number": trial.number,
        "state": trial.state,
        "values": ranking.values_of(trial, view.objectives),
        "params": {name: axes[name].place(value) for name, value in trial.params.items()},
        "facts": trial.facts,
        "curves": [ranking.curve(trial.reports, each.metric) for each in view.objectives],
        "steps": ranking.steps_of(trial),
        "ended": trial.ended,
        "reason": trial.reason,
    }
