"""Writes the report of a sweep folder: from its ledger, and from the sweep file for what the ledger does not say."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from raydet.config import Config
from raydet.search.file import load_sweep
from raydet.search.ledger import read_ledger
from raydet.search.records import TrialRecord
from raydet.search.report.anchor_plot import anchor_plot
from raydet.search.report.axes import text_of
from raydet.search.report.overview import Overview, overview
from raydet.search.report.page import page
from raydet.search.report.plots import write_plots
from raydet.search.report.ranking import best_of
from raydet.search.report.tables import leaderboard, write_parquet
from raydet.search.run import SWEEP_FILE
from raydet.search.settings import Objective

BEST_CONFIG, LEADERBOARD, PAGE = "best_config.py", "leaderboard.md", "report.html"
PARQUET, PLOTS = "trials.parquet", "plots"


def write_report(folder: str | Path, say: Callable[[str], None] = print) -> Overview:
    """Write everything that a report holds into a sweep folder, also of a sweep that runs or broke off.

    Args:
        folder: of the sweep.
        say: prints a line about what had to be left out.

    Returns:
        What the report says.

    Raises:
        FileNotFoundError: the folder holds no sweep.
        ValueError: its ledger or its sweep file is damaged.
    """
    folder = Path(folder)
    view, config = read_overview(folder, say)
    write_parquet(view, folder / PARQUET)
    (folder / LEADERBOARD).write_text(leaderboard(view), encoding="utf-8")
    best = view.trial(view.best)
    if best is not None and config is not None:
        (folder / BEST_CONFIG).write_text(best_config(view, best, config), encoding="utf-8")
    (folder / PAGE).write_text(page(view), encoding="utf-8")
    try:
        write_plots(view, folder / PLOTS)
    except ImportError as error:
        say(str(error))
    return view


def read_overview(folder: Path, say: Callable[[str], None] = print) -> tuple[Overview, Config | None]:
    """What the report of a sweep folder says, and its base config if that can be read; see `write_report`."""
    records = read_ledger(folder)
    known = _read_sweep(folder, say)
    base, anchors = None, None
    if known.config is not None:
        best = best_of(records, known.objectives)
        base = dict(known.config.items())
        others = [] if best is None else [(f"trial {best.number}", tuned(known.config, best))]
        anchors = anchor_plot([("base config", known.config), *others], records)
    view = overview(
        known.name,
        records,
        known.objectives,
        unit=known.unit,
        has_points=known.has_points,
        base=base,
        anchors=anchors,
    )
    return view, known.config


@dataclass(frozen=True)
class _Known:
    """What the sweep file says; the base config is None where its files are gone."""

    name: str
    objectives: tuple[Objective, ...]
    unit: str
    has_points: bool
    config: Config | None = None


def _read_sweep(folder: Path, say: Callable[[str], None]) -> _Known:
    file = folder / SWEEP_FILE
    try:
        sweep = load_sweep(file)
    except (ValueError, OSError) as error:
        say(f"the report goes without the base config: {error}")
    else:
        return _Known(sweep.name, sweep.objectives, sweep.pruning.unit, bool(sweep.points), sweep.config)
    values = yaml.safe_load(file.read_text(encoding="utf-8"))
    given = values["objective"] if isinstance(values["objective"], list) else [values["objective"]]
    unit = (values.get("pruning") or {}).get("unit", "epoch")
    objectives = tuple(Objective(**each) for each in given)
    return _Known(values.get("name", folder.name), objectives, unit, bool(values.get("points")))


def tuned(config: Config, record: TrialRecord) -> Config:
    """The base config with what a trial changes."""
    made = copy.deepcopy(config)
    made.merge_from_dict(record.options)
    return made


def best_config(view: Overview, best: TrialRecord, config: Config) -> str:
    """The whole config of the best trial as a Python file, with the seed that it ran with."""
    made: Any = tuned(config, best)
    made["seed"] = best.seed
    value = view.value(best.number)
    reached = "" if value is None else f", {view.objectives[0].metric} {text_of(value)}"
    head = f"# Trial {best.number} of the sweep {view.name}{reached}. Train it: raydet train {BEST_CONFIG}"
    return f"{head}\n{made.pretty_text}"
