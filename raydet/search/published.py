"""The study of a sweep as others see it: in a storage that `optuna-dashboard` opens while the sweep runs."""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Sequence
from typing import Any

from raydet.search import ledger
from raydet.search.events import SweepWatcher
from raydet.search.records import TrialRecord
from raydet.search.settings import Objective
from raydet.search.study import optuna_state, running_trial, trial_id

_logger = logging.getLogger("raydet.search")


class PublishedStudy(SweepWatcher):
    """Repeats in a storage what the ledger says. When the storage does not answer, the sweep goes on and it catches up.

    Args:
        storage: of Optuna.
        name: of the study.
        objectives: what is improved.
        past: events of a sweep that goes on; what the storage lacks of them is added.

    Raises:
        ValueError: the storage holds another study of that name.
    """

    def __init__(
        self, storage: Any, name: str, objectives: Sequence[Objective], past: Sequence[ledger.AnyEvent] = ()
    ) -> None:
        import optuna

        self._storage = storage
        self._single = len(objectives) == 1
        directions = ["maximize" if each.mode == "max" else "minimize" for each in objectives]
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        optuna.create_study(storage=storage, study_name=name, directions=directions, load_if_exists=True)
        self._study_id = storage.get_study_id_from_name(name)
        storage.set_study_system_attr(self._study_id, "study:metric_names", [each.metric for each in objectives])
        self._known = self._read()
        drawn = sum(isinstance(event, ledger.Drawn) for event in past)
        if len(self._known) > drawn:
            raise ValueError(
                f"the storage holds a study {name!r} with {len(self._known)} trials, which are not of this sweep; "
                "choose another name with search.study, or resume the sweep that they are of"
            )
        self._pending = deque(past)
        self._broken = False
        self._flush()

    def event(self, event: ledger.AnyEvent, record: TrialRecord) -> None:
        self._pending.append(event)
        self._flush()

    def sweep_ended(self, records: Sequence[TrialRecord], interrupted: bool) -> None:
        self._flush()

    def _read(self) -> dict[int, Any]:
        return {trial.number: trial for trial in self._storage.get_all_trials(self._study_id, deepcopy=False)}

    def _flush(self) -> None:
        try:
            if self._broken:
                self._known = self._read()  # what arrived before the connection broke
            while self._pending:
                self._apply(self._pending[0])
                self._pending.popleft()
            self._broken = False
        except Exception as error:
            if not self._broken:
                _logger.warning("the study cannot be written (%s); the sweep goes on, and it will catch up", error)
            self._broken = True

    def _apply(self, event: ledger.AnyEvent) -> None:
        """Write an event unless the storage has it."""
        known = self._known.get(event.number)
        if isinstance(event, ledger.Drawn):
            if known is None:
                self._draw(event)
            return
        if known is not None and known.state.is_finished():
            return
        if isinstance(event, ledger.Reported) and self._single:
            if known is None or event.report.step not in known.intermediate_values:
                value = event.decision.value
                self._storage.set_trial_intermediate_value(self._id(event.number), event.report.step, value)
        elif isinstance(event, ledger.Moved):
            self._storage.set_trial_user_attr(
                self._id(event.number), f"moved at {event.step}", f"to trial {event.donor}: {json.dumps(event.params)}"
            )
        elif isinstance(event, ledger.Ended):
            self._end(event)

    def _draw(self, event: ledger.Drawn) -> None:
        trial = running_trial(event)
        trial.user_attrs = {"options": _text(event.options), "seed": event.seed, "folder": event.folder}
        self._storage.create_new_trial(self._study_id, template_trial=trial)
        if event.rejected:
            self._storage.set_trial_user_attr(self._id(event.number), "reason", event.rejected)
            self._storage.set_trial_state_values(self._id(event.number), optuna_state("rejected"))

    def _end(self, event: ledger.Ended) -> None:
        trial = self._id(event.number)
        if event.reason:
            self._storage.set_trial_user_attr(trial, "reason", event.reason)
        self._storage.set_trial_state_values(trial, optuna_state(event.state), event.values)

    def _id(self, number: int) -> int:
        return trial_id(self._storage, self._study_id, number)


def _text(options: Any) -> str:
    return json.dumps(options, default=str)
