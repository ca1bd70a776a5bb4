"""Ray Tune runs what the conductor says: its searcher hands out trials, its scheduler passes on what they report."""

from __future__ import annotations

import logging
import pickle
import shutil
import tempfile
from collections.abc import Sequence
from typing import Any

from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import SearchAlgorithm

from raydet.distributed.settings import environment_defaults, quiet_ray_loggers
from raydet.search.actor import OUTCOME, REPORT, TASK, TrialActor
from raydet.search.attempt import reason_of
from raydet.search.conductor import Conductor
from raydet.search.task import Broken, TrialFunction

TUNE_SETTINGS = {
    # The ledger, tables and trackers of raydet say it all; Tune's loggers would cost more than a short trial.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # What Tune would restore a sweep from is never used.
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}


def run_with_tune(
    conductor: Conductor,
    function: TrialFunction,
    bundles: Sequence[dict[str, float]],
    concurrent: int,
    max_failures: int,
) -> None:
    """Run the trials of a sweep to their end, or until Ctrl-C.

    Args:
        conductor: of the sweep.
        function: that runs a trial; pickled once.
        bundles: resources of a trial's actor, and of what it starts within its placement group.
        concurrent: trials at a time.
        max_failures: times that a trial starts again when its process or node was lost.
    """
    scratch = tempfile.mkdtemp(prefix="raydet_tune_")
    actor = tune.with_resources(
        tune.with_parameters(TrialActor, function=function), tune.PlacementGroupFactory(list(bundles))
    )
    with environment_defaults(TUNE_SETTINGS):
        quiet_ray_loggers()
        logging.getLogger("ray.tune.analysis").setLevel(logging.ERROR)  # misses the files that it is told not to write
        logging.getLogger("ray.tune.tune").addFilter(_is_no_advice)
        try:
            tune.Tuner(
                actor,
                tune_config=tune.TuneConfig(
                    search_alg=_Trials(conductor, concurrent, max_failures),
                    scheduler=_Scheduler(conductor),
                    num_samples=-1,
                    reuse_actors=True,
                ),
                run_config=tune.RunConfig(
                    name="sweep",
                    storage_path=scratch,
                    verbose=0,
                    callbacks=[_Losses(conductor)],
                    checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),  # runs keep their own
                ),
            ).fit()
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _is_no_advice(record: logging.LogRecord) -> bool:
    """Whether a message of Tune's is for users of raydet; an interrupted sweep goes on from its ledger."""
    return "Tuner.restore" not in record.getMessage()


def _number(trial: Any) -> int:
    return int(trial.config[TASK].number)


class _NotSaved:
    """Tune pickles what it is given, to restore it some day; the ledger does that."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class _Stretch(Trial):
    """A trial without what Tune would compare and restore it by, which it would keep of ended ones as well."""

    def update_last_result(self, result: dict[str, Any]) -> None:
        super().update_last_result(result)
        self.run_metadata.metric_analysis.clear()
        self.run_metadata.metric_n_steps.clear()

    def get_json_state(self) -> tuple[str, str]:
        return "", ""


class _Trials(_NotSaved, SearchAlgorithm):
    """Hands out the conductor's trials, at most `concurrent` at a time.

    Args:
        conductor: of the sweep.
        concurrent: trials at a time.
        max_failures: restarts of a lost trial.
    """

    def __init__(self, conductor: Conductor, concurrent: int, max_failures: int) -> None:
        self._conductor = conductor
        self._concurrent = concurrent
        self._max_failures = max_failures
        self._experiment: Any = None

    def add_configurations(self, experiments: Any) -> None:
        """Tune's experiment, of which every trial takes its actor, resources and storage."""
        [self._experiment] = experiments

    def next_trial(self) -> Any:
        if self._conductor.num_running >= self._concurrent:
            return None
        task = self._conductor.next()
        if task is None:
            return None
        spec = self._experiment.spec
        return _Stretch(
            spec["run"],
            config={TASK: task},
            experiment_tag=f"{task.number}_{task.attempt}",
            placement_group_factory=spec.get("resources_per_trial"),
            checkpoint_config=spec.get("checkpoint_config"),
            max_failures=self._max_failures,
            storage=spec["storage"],
        )

    def is_finished(self) -> bool:
        return self._finished or self._conductor.done


class _Scheduler(_NotSaved, FIFOScheduler):
    """Passes on reports and ends to the conductor and its answers to Tune."""

    def __init__(self, conductor: Conductor) -> None:
        super().__init__()
        self._conductor = conductor

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        event = result[REPORT]
        goes_on = self._conductor.report(_number(trial), event.step, event.metrics)
        return str(TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """The function is over, or a report has stopped it, and then everything is said already."""
        if OUTCOME in result:
            self._conductor.end(_number(trial), result[OUTCOME])

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        waiting = (trial for trial in tune_controller.get_live_trials() if trial.status == Trial.PENDING)
        return min(waiting, key=_number, default=None)


class _Losses(_NotSaved, tune.Callback):
    """Tells the conductor of every start, also of one after a loss, and of the loss after which there is none."""

    def __init__(self, conductor: Conductor) -> None:
        self._conductor = conductor

    def on_trial_start(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        self._conductor.started(_number(trial))

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        reason = f"its process was lost {trial.num_failures} times, the last time by {_cause(trial)}"
        self._conductor.end(_number(trial), Broken(reason))


def _cause(trial: Any) -> str:
    """What Ray says of the last loss."""
    try:
        with open(trial.pickled_error_file, "rb") as file:
            return reason_of(pickle.load(file))
    except Exception:  # of a class that is not here; the rest of the reason stands
        return "an unknown error"
