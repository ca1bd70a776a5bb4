"""The Optuna study that draws: in memory, rebuilt from the ledger, so that a resumed sweep draws what it would have."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from raydet.search import ledger
from raydet.search.samplers import make_sampler
from raydet.search.settings import Objective, SearchSettings

NAME = "raydet"
_STATES = {"complete": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL", "rejected": "FAIL"}


def optuna_state(state: str) -> Any:
    """The Optuna state of an ended trial."""
    from optuna.trial import TrialState

    return TrialState[_STATES[state]]


class DrawingStudy:
    """A study in memory with one trial for each number of the sweep.

    Samplers find what they look for in an Optuna study: parameters and their distributions, intermediate and final
    values, and notes of their own. All of it comes from the ledger, and nothing else does.

    Args:
        objectives: what is improved.
        settings: of the search.
        known: finished Optuna trials of earlier sweeps.
    """

    def __init__(self, objectives: Sequence[Objective], settings: SearchSettings, known: Sequence[Any] = ()) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._settings = settings
        self._single = len(objectives) == 1
        self._num_objectives = len(objectives)
        directions = ["maximize" if each.mode == "max" else "minimize" for each in objectives]
        self._storage = optuna.storages.InMemoryStorage()
        self._study = optuna.create_study(study_name=NAME, directions=directions, storage=self._storage)
        self._study_id = self._storage.get_study_id_from_name(NAME)
        for trial in known:
            self._study.add_trial(trial)
        self._offset = len(known)

    def ask(self, number: int, seed: int, fixed: Mapping[str, Any] | None = None) -> Any:
        """An Optuna trial to draw the point of trial `number` from.

        Args:
            number: of the trial; the next one.
            seed: of the draw.
            fixed: parameters that are not drawn.
        """
        self._study.sampler = make_sampler(self._settings, seed, self._num_objectives)
        if fixed is not None:
            self._study.enqueue_trial(dict(fixed))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trial = self._study.ask()
        assert trial.number == number + self._offset, f"Optuna's trial {trial.number} is not trial {number}"
        return trial

    def notes(self, trial: Any) -> dict[str, Any]:
        """What the ledger must keep of a trial that was drawn, beside its parameters."""
        from optuna.distributions import distribution_to_json

        frozen = self._storage.get_trial(self._id(trial.number))
        distributions = {name: distribution_to_json(each) for name, each in frozen.distributions.items()}
        study = self._storage.get_study_system_attrs(self._study_id)
        return {"distributions": distributions, "trial": dict(frozen.system_attrs), "study": dict(study)}

    def distributions(self, number: int) -> dict[str, Any]:
        """Optuna's distribution of each parameter of a trial."""
        return dict(self._storage.get_trial(self._id(number + self._offset)).distributions)

    def apply(self, event: ledger.AnyEvent) -> None:
        """Take in what happened; of a draw only when it is read from the ledger, since `ask` made its trial."""
        number = event.number + self._offset
        if isinstance(event, ledger.Drawn):
            if number == self._storage.get_n_trials(self._study_id):
                self._recreate(event)
            if event.rejected:
                self._storage.set_trial_state_values(self._id(number), optuna_state("rejected"))
        elif isinstance(event, ledger.Reported) and self._single:
            self._storage.set_trial_intermediate_value(self._id(number), event.report.step, event.decision.value)
        elif isinstance(event, ledger.Ended):
            self._storage.set_trial_state_values(self._id(number), self._state(event), event.values)

    def _id(self, number: int) -> int:
        return trial_id(self._storage, self._study_id, number)

    def _recreate(self, event: ledger.Drawn) -> None:
        self._storage.create_new_trial(self._study_id, template_trial=running_trial(event))
        for key, value in event.notes["study"].items():
            self._storage.set_study_system_attr(self._study_id, key, value)

    def _state(self, event: ledger.Ended) -> Any:
        # Of several objectives Optuna knows no pruned trials; one that lacks values teaches nothing.
        state = "failed" if event.state == "pruned" and not self._single else event.state
        return optuna_state(state)


def trial_id(storage: Any, study: int, number: int) -> int:
    """The storage's own number of a trial."""
    return int(storage.get_trial_id_from_study_id_trial_number(study, number))


def running_trial(event: ledger.Drawn) -> Any:
    """A drawn trial as Optuna keeps it while it runs."""
    from optuna.distributions import json_to_distribution
    from optuna.trial import TrialState, create_trial

    return create_trial(
        state=TrialState.RUNNING,
        params=event.params,
        distributions={name: json_to_distribution(text) for name, text in event.notes["distributions"].items()},
        system_attrs=event.notes["trial"],
    )
