"""The course of a sweep on the terminal: a table that keeps itself up to date, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from raydet.distributed.words import duration
from raydet.search.events import SweepWatcher
from raydet.search.records import Decision, Report, TrialRecord
from raydet.search.report.axes import short_names, text_of
from raydet.search.report.ranking import best_of, ranked, steps_of, values_of
from raydet.search.settings import Objective

ROWS = 12
"""Trials shown at a time: those that run, then the best."""
OVER = ("complete", "pruned", "failed")
COLORS = {"complete": "green", "pruned": "dim", "running": "cyan", "failed": "red", "rejected": "dim"}


class Progress:
    """How far a sweep is.

    Args:
        records: its trials, as they change.
        objectives: of the sweep.
        num_trials: that are to run.
        max_steps: of a whole trial, None where unknown.
        clock: seconds; only differences count.
    """

    def __init__(
        self,
        records: dict[int, TrialRecord],
        objectives: Sequence[Objective],
        num_trials: int,
        max_steps: int | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.records = records
        self.objectives = objectives
        self.num_trials = num_trials
        self.max_steps = max_steps
        self._clock = clock
        self._begin = clock()
        self._before = self._done()

    @property
    def num_over(self) -> int:
        """Trials that ended, well or not."""
        return sum(each.state in OVER for each in self.records.values())

    @property
    def elapsed(self) -> float:
        """Seconds since the sweep began or went on."""
        return self._clock() - self._begin

    @property
    def remaining(self) -> float | None:
        """Seconds that the rest takes at the pace so far, None as long as nothing is done."""
        pace = self._done() - self._before
        return self.elapsed * max(0.0, self.num_trials - self._done()) / pace if pace > 0 else None

    def _done(self) -> float:
        """Trials, with the parts of those that run."""
        running = [steps_of(each) for each in self.records.values() if each.state == "running"]
        return self.num_over + (sum(running) / self.max_steps if self.max_steps else 0.0)

    def best(self) -> TrialRecord | None:
        """The best trial so far."""
        return best_of(list(self.records.values()), self.objectives)

    def shown(self) -> list[TrialRecord]:
        """Trials to show: all that run, then the best of the others."""
        trials = list(self.records.values())
        running = [each for each in trials if each.state == "running"]
        others = [each for each in ranked(trials, self.objectives) if each.state in OVER]
        return [*running, *others[: max(3, ROWS - len(running))]]

    def summary(self) -> str:
        """One line: how many trials, the best, how long."""
        best = self.best()
        parts = [f"{self.num_over}/{self.num_trials} trials"]
        if best is not None:
            parts.append(
                f"best {self.objectives[0].metric} {_number(values_of(best, self.objectives)[0])} (trial {best.number})"
            )
        parts.append(
            f"{duration(self.elapsed)}, "
            + ("the rest unknown" if self.remaining is None else f"{duration(self.remaining)} to go")
        )
        return ", ".join(parts)


class LiveTable(SweepWatcher):
    """Shows a sweep while it runs.

    Args:
        console: where; without a terminal each event that matters becomes a line.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()
        self._live: Live | None = None
        self._progress: Progress | None = None
        self._unit = "epoch"
        self._name = ""

    def sweep_started(self, sweep: Any, folder: Path, records: Sequence[TrialRecord]) -> None:
        self._name, self._unit = sweep.name, sweep.pruning.unit
        known = {each.number: each for each in records}
        self._progress = Progress(known, sweep.objectives, sweep.num_trials, _max_steps(sweep))
        if self._console.is_terminal:
            self._live = Live(console=self._console, get_renderable=self.render, refresh_per_second=2)
            self._live.start()
        else:
            self._note(f"sweep {self._name} in {folder}: {self._progress.summary()}")

    def trial_drawn(self, record: TrialRecord) -> None:
        if self._progress is not None:
            self._progress.records[record.number] = record
        if record.state == "rejected":
            self._note(f"trial {record.number} rejected: {record.reason}")

    def trial_started(self, record: TrialRecord) -> None:
        again = f" (start {record.attempts})" if record.attempts > 1 else ""
        self._note(f"trial {record.number} started{again}: {params_of(record)}")

    def trial_reported(self, record: TrialRecord, report: Report, decision: Decision) -> None:
        if self._progress is not None:
            values = ", ".join(
                f"{each.metric} {_number(report.metrics[each.metric])}"
                for each in self._progress.objectives
                if each.metric in report.metrics
            )
            self._note(f"trial {record.number} {self._unit} {report.step}: {values}")

    def trial_moved(self, record: TrialRecord) -> None:
        self._note(f"trial {record.number} goes on from the weights of another: {params_of(record)}")

    def trial_ended(self, record: TrialRecord) -> None:
        if self._progress is not None:
            why = f": {record.reason}" if record.reason else ""
            self._note(f"trial {record.number} {record.state}{why}; {self._progress.summary()}")

    def sweep_ended(self, records: Sequence[TrialRecord], interrupted: bool) -> None:
        self.close()

    def close(self) -> None:
        """Leave the last state of the table on the terminal."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def say(self, line: str) -> None:
        """Print a line, above the table where there is one."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _note(self, line: str) -> None:
        """Print a line about what the table shows, where there is none."""
        if self._live is None:
            self.say(line)

    def render(self) -> RenderableType:
        """The table as it is now."""
        progress = self._progress
        if progress is None:
            return Text("")
        bar = Table.grid(padding=(0, 1))
        bar.add_row(
            Text(self._name, style="bold"),
            ProgressBar(total=max(1, progress.num_trials), completed=progress.num_over, width=24),
            progress.summary(),
        )
        return Group(bar, self._table(progress))

    def _table(self, progress: Progress) -> Table:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in ("trial", "state", self._unit):
            table.add_column(name, no_wrap=True)
        for objective in progress.objectives:
            table.add_column(objective.metric, justify="right", no_wrap=True)
        table.add_column("time", justify="right", no_wrap=True)
        table.add_column("parameters", ratio=1)  # the one that gives way where there is little room
        best = progress.best()
        for record in progress.shown():
            style = "bold yellow" if best is not None and record.number == best.number else ""
            table.add_row(*_cells(record, progress), style=style)
        return table


def _cells(record: TrialRecord, progress: Progress) -> list[RenderableType]:
    steps = f"{steps_of(record)}/{progress.max_steps}" if progress.max_steps else str(steps_of(record))
    seconds = (record.ended or time.time()) - record.started if record.started else None
    return [
        str(record.number),
        Text(record.state, style=COLORS.get(record.state, "")),
        steps,
        *(_number(value) for value in values_of(record, progress.objectives)),
        "" if seconds is None else duration(seconds),
        Text(record.reason if record.state == "failed" else params_of(record), no_wrap=True, overflow="ellipsis"),
    ]


def _max_steps(sweep: Any) -> int | None:
    """Epochs or iterations of a whole trial, None where only its own config knows."""
    from raydet.search.trial_config import max_steps_of

    try:
        return max_steps_of(sweep)
    except ValueError:
        return None


def params_of(record: TrialRecord) -> str:
    """What was drawn, on a line."""
    labels = short_names(record.params)
    return ", ".join(f"{labels[name]}={text_of(value)}" for name, value in record.params.items()) or "the base config"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
