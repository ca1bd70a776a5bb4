"""What a sweep tells those who watch it: the live table, the study that dashboards read, trackers, the clean-up."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raydet.search.records import Decision, Report, TrialRecord

if TYPE_CHECKING:
    from raydet.search.ledger import AnyEvent

_logger = logging.getLogger("raydet.search")


class SweepWatcher:
    """Base of what watches a sweep; every method does nothing until it is overridden.

    All calls come from the thread of the driver, after the ledger holds what they tell. Records are those of the driver
    itself: they may be read at any time and are not to be changed. Quick work only: the sweep waits.
    """

    def sweep_started(self, sweep: Any, folder: Path, records: Sequence[TrialRecord]) -> None:
        """The sweep begins, or goes on with `records`."""

    def trial_drawn(self, record: TrialRecord) -> None:
        """A point was drawn; one that breaks a constraint has the state "rejected" already."""

    def trial_started(self, record: TrialRecord) -> None:
        """A run of the trial begins or goes on."""

    def trial_reported(self, record: TrialRecord, report: Report, decision: Decision) -> None:
        """The trial was evaluated and judged."""

    def trial_moved(self, record: TrialRecord) -> None:
        """The trial goes on from the weights of another one, with other options."""

    def trial_ended(self, record: TrialRecord) -> None:
        """The trial is complete, pruned or failed."""

    def event(self, event: AnyEvent, record: TrialRecord) -> None:
        """Anything of the above, as the ledger has it; called before the method of its own."""

    def sweep_ended(self, records: Sequence[TrialRecord], interrupted: bool) -> None:
        """The sweep is over, or was interrupted and can go on later."""


class Watchers(SweepWatcher):
    """Tells all of several watchers; one that fails is said once and left out from then on.

    Args:
        watchers: in the order in which they hear.
    """

    def __init__(self, watchers: Sequence[SweepWatcher]) -> None:
        self._watchers = list(watchers)

    def _tell(self, method: str, *arguments: Any) -> None:
        for watcher in list(self._watchers):
            try:
                getattr(watcher, method)(*arguments)
            except Exception:  # a table or a tracker that breaks must not end days of training
                _logger.exception("%s failed in %s; the sweep goes on without it", type(watcher).__name__, method)
                self._watchers.remove(watcher)

    def sweep_started(self, sweep: Any, folder: Path, records: Sequence[TrialRecord]) -> None:
        self._tell("sweep_started", sweep, folder, records)

    def tell(self, event: AnyEvent, record: TrialRecord) -> None:
        """Pass on an event of the ledger to the methods that it concerns."""
        from raydet.search import ledger

        self._tell("event", event, record)
        if isinstance(event, ledger.Drawn):
            self._tell("trial_drawn", record)
        elif isinstance(event, ledger.Started):
            self._tell("trial_started", record)
        elif isinstance(event, ledger.Reported):
            self._tell("trial_reported", record, event.report, event.decision)
        elif isinstance(event, ledger.Moved):
            self._tell("trial_moved", record)
        elif isinstance(event, ledger.Ended):
            self._tell("trial_ended", record)

    def sweep_ended(self, records: Sequence[TrialRecord], interrupted: bool) -> None:
        self._tell("sweep_ended", records, interrupted)
