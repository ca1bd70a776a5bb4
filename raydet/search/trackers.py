"""Sweeps in experiment trackers: TensorBoard's HPARAMS page, and MLflow runs nested in the run of the sweep."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from raydet.search.events import SweepWatcher
from raydet.search.records import Decision, Report, TrialRecord
from raydet.search.report.axes import is_number, text_of
from raydet.search.settings import Objective


def trackers(names: Iterable[str]) -> list[SweepWatcher]:
    """A watcher for each name.

    Raises:
        ImportError: the package of one is missing.
        ValueError: a name is unknown.
    """
    made = []
    for name in names:
        if name not in TRACKERS:
            raise ValueError(f"there is no tracker {name!r}; expected {' or '.join(map(repr, TRACKERS))}")
        made.append(TRACKERS[name]())
    return made


class TensorBoardTracker(SweepWatcher):
    """Writes a run of TensorBoard for each trial into `tensorboard/` of the sweep folder.

    Values of the evaluations become curves; parameters and final values fill the HPARAMS page.

    Raises:
        ImportError: tensorboard is missing.
    """

    def __init__(self) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ImportError(
                "track: tensorboard needs the package tensorboard: pip install 'raydet[track]'"
            ) from error
        self._make = SummaryWriter
        self._folder = Path()
        self._objectives: Sequence[Objective] = ()
        self._writers: dict[int, Any] = {}

    def sweep_started(self, sweep: Any, folder: Path, records: Sequence[TrialRecord]) -> None:
        self._folder, self._objectives = folder / "tensorboard", sweep.objectives

    def trial_reported(self, record: TrialRecord, report: Report, decision: Decision) -> None:
        for name, value in report.metrics.items():
            self._writer(record).add_scalar(name, value, report.step, walltime=report.time)

    def trial_ended(self, record: TrialRecord) -> None:
        writer = self._writer(record)
        if record.values is not None:
            values = zip(self._objectives, record.values, strict=True)
            params = {name: each if is_number(each) else text_of(each) for name, each in record.params.items()}
            writer.add_hparams(params, {f"hparam/{each.metric}": value for each, value in values}, run_name=".")
        writer.close()
        del self._writers[record.number]

    def _writer(self, record: TrialRecord) -> Any:
        if record.number not in self._writers:
            self._writers[record.number] = self._make(str(self._folder / f"{record.number:04d}"))
        return self._writers[record.number]

    def sweep_ended(self, records: Sequence[TrialRecord], interrupted: bool) -> None:
        for writer in self._writers.values():
            writer.close()


class MlflowTracker(SweepWatcher):
    """One run of MLflow for the sweep, with a nested one for each trial; a sweep that goes on finds them again.

    `MLFLOW_TRACKING_URI` and `MLFLOW_EXPERIMENT_NAME` say where; the sweep's name is the experiment otherwise.

    Raises:
        ImportError: mlflow is missing.
    """

    def __init__(self) -> None:
        try:
            import mlflow
        except ImportError as error:
            raise ImportError("track: mlflow needs the package mlflow: pip install 'raydet[track]'") from error
        self._client = mlflow.MlflowClient()
        self._experiment = ""
        self._objectives: Sequence[Objective] = ()
        self._runs: dict[str, str] = {}  # tag of a trial, or "" for the sweep -> id

    def sweep_started(self, sweep: Any, folder: Path, records: Sequence[TrialRecord]) -> None:
        import os

        self._objectives = sweep.objectives
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or sweep.name
        known = self._client.get_experiment_by_name(name)
        self._experiment = known.experiment_id if known is not None else self._client.create_experiment(name)
        self._key = str(folder.resolve())
        self._find()
        self._run("", sweep.name)

    def trial_started(self, record: TrialRecord) -> None:
        run = self._trial(record)
        for name, value in record.params.items():
            self._client.log_param(run, name, text_of(value))

    def trial_reported(self, record: TrialRecord, report: Report, decision: Decision) -> None:
        for name, value in report.metrics.items():
            self._client.log_metric(self._trial(record), name, value, int(1000 * report.time), report.step)

    def trial_ended(self, record: TrialRecord) -> None:
        run = self._trial(record)
        self._client.set_tag(run, "raydet.state", record.state)
        if record.reason:
            self._client.set_tag(run, "raydet.reason", record.reason)
        for objective, value in zip(self._objectives, record.values or (), strict=False):
            self._client.log_metric(run, f"final_{objective.metric}", value)
        status = {"failed": "FAILED", "pruned": "KILLED"}.get(record.state, "FINISHED")
        self._client.set_terminated(run, status)

    def sweep_ended(self, records: Sequence[TrialRecord], interrupted: bool) -> None:
        self._client.set_terminated(self._runs[""], "KILLED" if interrupted else "FINISHED")

    def _find(self) -> None:
        """Runs of this sweep folder that an interrupted driver made."""
        for run in self._client.search_runs([self._experiment], f"tags.`raydet.sweep` = '{self._key}'"):
            self._runs[run.data.tags.get("raydet.trial", "")] = run.info.run_id

    def _trial(self, record: TrialRecord) -> str:
        return self._run(str(record.number), f"trial {record.number:04d}")

    def _run(self, trial: str, name: str) -> str:
        if trial not in self._runs:
            tags = {"raydet.sweep": self._key, "mlflow.runName": name}
            if trial:
                tags |= {"mlflow.parentRunId": self._runs[""], "raydet.trial": trial}
            self._runs[trial] = self._client.create_run(self._experiment, tags=tags).info.run_id
        return self._runs[trial]


TRACKERS: dict[str, type[SweepWatcher]] = {"tensorboard": TensorBoardTracker, "mlflow": MlflowTracker}
"""By the name in `track` of a sweep file."""
