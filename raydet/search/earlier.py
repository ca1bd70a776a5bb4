"""Trials of earlier sweeps, which a sampler knows from the start."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from raydet.search import ledger
from raydet.search.storage import open_storage
from raydet.search.study import running_trial


def earlier_trials(sources: Sequence[str], num_objectives: int) -> list[Any]:
    """Complete Optuna trials of earlier sweeps.

    Args:
        sources: sweep folders, or `URL#study`.
        num_objectives: of this sweep; a trial has a value for each of them.

    Raises:
        FileNotFoundError: a folder is none of a sweep.
        ValueError: a source cannot be read, or its trials have another number of values.
    """
    found = [trial for source in sources for trial in _trials_of(source)]
    for trial in found:
        if len(trial.values) != num_objectives:
            raise ValueError(
                f"search.imports: a trial has {len(trial.values)} values, and this sweep has {num_objectives} "
                "objectives; import sweeps with the same objectives"
            )
    return found


def _trials_of(source: str) -> list[Any]:
    if "://" not in source:
        return _trials_in(Path(source))
    import optuna

    url, _, name = source.partition("#")
    if not name:
        raise ValueError(f"search.imports: {source!r} names no study; write the URL as {source}#STUDY")
    try:
        study = optuna.load_study(study_name=name, storage=open_storage(url, Path()))
    except KeyError as error:
        raise ValueError(f"search.imports: there is no study {name!r} in {url.rpartition('@')[2]}") from error
    return list(study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.COMPLETE]))


def _trials_in(folder: Path) -> list[Any]:
    drawn, trials = {}, []
    for event in ledger.read_events(folder):
        if isinstance(event, ledger.Drawn):
            drawn[event.number] = event
        elif isinstance(event, ledger.Ended) and event.state == "complete":
            trials.append(_complete(drawn[event.number], event))
    return trials


def _complete(drawn: ledger.Drawn, ended: ledger.Ended) -> Any:
    from optuna.trial import TrialState, create_trial

    trial = running_trial(drawn)
    return create_trial(
        state=TrialState.COMPLETE, params=trial.params, distributions=trial.distributions, values=ended.values
    )
