"""The course of a sweep, apart from what runs the trials: who is next, what a report leads to, what is over.

Everything that happens is written to the ledger first; records, study, rule and watchers follow from its lines. A sweep
that goes on hears the old lines again and then stands where it stood.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from raydet.search.drawing import Drawer
from raydet.search.events import Watchers
from raydet.search.ledger import AnyEvent, Drawn, Ended, HandedBack, Ledger, Moved, Reported, Started, apply_event
from raydet.search.population import Population
from raydet.search.pruning import PruningRule
from raydet.search.records import Decision, Report, State, TrialRecord
from raydet.search.report.ranking import steps_of
from raydet.search.settings import Objective
from raydet.search.task import Broken, Outcome, TrialTask

OPEN = ("waiting", "running")
MAX_REJECTED = 500
"""Draws in a row that may be none."""


class Conductor:
    """One sweep.

    Args:
        folder: of the sweep.
        ledger: its events are heard again first.
        drawer: chooses points.
        rule: stops trials early.
        objectives: what is improved; trials are judged by the first.
        num_trials: that are to run; rejected draws do not count.
        population: trials that learn from each other, None when each is alone.
        watchers: hear what happens from now on.
        time_limit: seconds from now after which nothing is drawn any more.
    """

    def __init__(
        self,
        folder: Path,
        ledger: Ledger,
        drawer: Drawer,
        rule: PruningRule,
        objectives: Sequence[Objective],
        num_trials: int,
        population: Population | None,
        watchers: Watchers,
        time_limit: float | None = None,
    ) -> None:
        self.records: dict[int, TrialRecord] = {}
        self._folder = folder
        self._ledger = ledger
        self._drawer = drawer
        self._rule = rule
        self._objectives = objectives
        self._num_trials = num_trials
        self._population = population
        self._watchers = watchers
        self._deadline = None if time_limit is None else time.monotonic() + time_limit
        self._running: set[int] = set()
        self._open: set[int] = set()
        self._num_drawn = 0
        for event in ledger.events:
            self._hear(event)
        self._settle()

    @property
    def done(self) -> bool:
        """All trials are over."""
        return not self._open and not self._more_to_draw()

    @property
    def num_running(self) -> int:
        return len(self._running)

    def next(self) -> TrialTask | None:
        """The trial to start now: one that was interrupted or handed back, else a new one; None when there is none."""
        self._meet()
        idle = [self.records[number] for number in sorted(self._open - self._running)]
        ready = (record for record in idle if not self._waits_after(steps_of(record)))
        record = next(ready, None) or self._draw()
        if record is None:
            return None
        self._running.add(record.number)
        return TrialTask(
            record.number,
            record.params,
            record.options,
            record.seed,
            str(self._folder / record.folder),
            record.attempts + 1,
            str(self._folder / record.source) if record.source else "",
            record.source_step,
        )

    def started(self, number: int) -> None:
        """A run of the trial begins; also when it begins once more after a loss."""
        self._write(Started(number, time.time()))

    def report(self, number: int, step: int, metrics: Mapping[str, float]) -> bool:
        """Judge an evaluation.

        A run that goes on from its last checkpoint reports some steps again and hears the same answer.

        Returns:
            Whether the trial goes on.
        """
        record = self.records[number]
        if number not in self._open:
            return False
        if not metrics:  # not a single detection: such an evaluation, of 2.x as well, leaves all its numbers out
            metrics = {each.metric: 0.0 for each in self._objectives if each.mode == "max"}
        if not any(earlier.step == step for earlier in record.reports):
            value = metrics.get(self._objectives[0].metric)
            if value is None or not math.isfinite(value):
                self._fail(record, _without_value(self._objectives[0].metric, step, metrics))
                return False
            self._write(Reported(number, time.time(), *self._judge(number, step, value, metrics)))
        decision = next(each for each in record.decisions if each.step == step)
        if decision.stop:
            self._prune(record)
        elif self._waits_after(step):
            self._write(HandedBack(number, time.time()))
        else:
            return True
        return False

    def end(self, number: int, outcome: Outcome) -> None:
        """The trial's function is over; nothing happens when a report has ended the trial already."""
        record = self.records[number]
        if number not in self._running:
            return
        if isinstance(outcome, Broken):
            self._fail(record, outcome.reason)
            return
        known = {**(record.reports[-1].metrics if record.reports else {}), **outcome.metrics}
        missing = [each.metric for each in self._objectives if not math.isfinite(known.get(each.metric, math.nan))]
        if missing:
            self._fail(record, _without_value(missing[0], None, known))
        else:
            self._end(record, "complete", "", tuple(known[each.metric] for each in self._objectives))

    def _judge(self, number: int, step: int, value: float, metrics: Mapping[str, float]) -> tuple[Report, Decision]:
        finite = {name: float(each) for name, each in metrics.items() if math.isfinite(each)}
        return Report(step, finite, time.time()), self._rule.judge(number, step, value)

    def _more_to_draw(self) -> bool:
        if self._deadline is not None and time.monotonic() >= self._deadline:
            return False
        return self._num_drawn < self._num_trials and self._drawer.has_more(len(self.records))

    def _draw(self) -> TrialRecord | None:
        for _ in range(MAX_REJECTED):
            if not self._more_to_draw():
                return None
            record = self._write(self._drawer.draw(len(self.records)))
            if record.state != "rejected":
                return record
        raise ValueError(
            f"{MAX_REJECTED} draws in a row were rejected, the last one: {record.reason}; loosen the constraints or "
            "narrow the space"
        )

    def _waits_after(self, step: int) -> bool:
        """Whether a trial has to wait for the others of its population."""
        if self._population is None or not self._population.is_meeting(step):
            return False
        return self._more_to_draw() or not self._population.is_held(step, self.records)

    def _meet(self) -> None:
        """Let the members of a population learn from each other once all have come as far."""
        if self._population is not None and not self._more_to_draw():
            for event in self._population.meet(self.records):
                self._write(event)

    def _prune(self, record: TrialRecord) -> None:
        last = record.decisions[-1]
        values = tuple(record.reports[-1].metrics.get(each.metric, math.nan) for each in self._objectives)
        where = f"step {last.step}" if last.rung is None else f"rung {last.rung}"
        known = values if all(map(math.isfinite, values)) else None
        self._end(record, "pruned", f"{self._objectives[0].metric} was {last.value:.4g} at {where}", known)

    def _fail(self, record: TrialRecord, reason: str) -> None:
        self._end(record, "failed", reason, None)

    def _end(self, record: TrialRecord, state: State, reason: str, values: tuple[float, ...] | None) -> None:
        self._write(Ended(record.number, time.time(), state, values, reason))

    def _settle(self) -> None:
        """End trials whose last report said so and whose end was not written any more."""
        for record in list(self.records.values()):
            if record.state in OPEN and record.decisions and record.decisions[-1].stop:
                self._prune(record)

    def _write(self, event: AnyEvent) -> TrialRecord:
        self._ledger.append(event)
        record = self._hear(event, again=False)
        self._watchers.tell(event, record)
        return record

    def _hear(self, event: AnyEvent, again: bool = True) -> TrialRecord:
        """Follow an event; `again` when it is an old one, which the rule and the population have yet to hear."""
        record = apply_event(self.records, event)
        self._drawer.study.apply(event)
        if isinstance(event, Drawn) and record.state in OPEN:
            self._open.add(event.number)
            self._num_drawn += 1
        elif isinstance(event, Reported) and again:
            self._rule.judge(event.number, event.report.step, event.decision.value)
        elif isinstance(event, Moved) and self._population is not None:
            self._population.moved(event)
        elif isinstance(event, HandedBack | Ended):
            self._running.discard(event.number)
        if isinstance(event, Ended):
            self._open.discard(event.number)
        return record


def _without_value(metric: str, step: int | None, metrics: Mapping[str, float]) -> str:
    """Why a trial without a usable objective failed."""
    when = "at its end" if step is None else f"after step {step}"
    if metric in metrics:
        return f"{metric} was {metrics[metric]} {when}"
    return f"{when} the trial had no {metric!r}, only {', '.join(sorted(metrics)) or 'nothing'}"
