"""Running a function in Ray Train workers, in a run folder, with restarts."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from raydet.distributed import reservations
from raydet.distributed.failures import FailureHandler, root_cause
from raydet.distributed.fault_tolerance import FaultTolerance
from raydet.distributed.monitor import Monitor, Reporter
from raydet.distributed.resources import ResourcePlan
from raydet.distributed.settings import ALONE_SETTINGS, TRAIN_SETTINGS, environment_defaults, ray_log_level
from raydet.distributed.signs import PREEMPTION, RESIZE, STOP
from raydet.distributed.stopping import StopOnSignal, Stopped
from raydet.distributed.storage import RunFolder
from raydet.distributed.watch import Watch
from raydet.distributed.words import first_line

_NEVER = 1e9


class ControllerLost(RuntimeError):  # noqa: N818  (an outcome of a run, spoken of as such)
    """The process that looks after the workers died; its workers die with it."""

    reason = "controller lost"


class TrainingFailed(RuntimeError):  # noqa: N818  (an outcome of a run, spoken of as such)
    """A run that ended without finishing; the cause is the first worker's error."""


@dataclass(frozen=True)
class Launch:
    """How to run a function on a cluster.

    Args:
        plan: workers and their resources.
        folder: of the run; a run that is there already goes on from its newest checkpoint.
        use_gpu: each worker has a GPU.
        faults: how often it starts again after which of them, and how long it waits.
        num_to_keep: checkpoints kept in the run folder for restarts, None for all.
        label_selector: nodes that may hold workers.
        worker_env: environment variables of the workers.
        alone: the cluster was started for this run and ends with it.
        advice: what to do after a failure.
    """

    plan: ResourcePlan
    folder: RunFolder
    use_gpu: bool = False
    faults: FaultTolerance = field(default_factory=FaultTolerance)
    num_to_keep: int | None = 1
    label_selector: dict[str, str] | None = None
    worker_env: Mapping[str, str] = field(default_factory=dict)
    alone: bool = False
    advice: str = "Its checkpoints are kept; go on with resume=True (--resume) when the cause is gone"

    def run(
        self, function: Callable[[dict[str, Any]], Any], job: dict[str, Any], monitor: Monitor, validation: Any = None
    ) -> Any:
        """Run `function(job)` in every worker and return what rank 0 returned.

        A function that returns an `Interrupted` has saved a checkpoint and is run again, with as many workers as fit by
        then; unless it was asked to stop.

        Args:
            function: of the workers.
            job: its argument.
            monitor: is told how they get on.
            validation: Ray Train's `ValidationConfig` of checkpoints that are evaluated in tasks of their own.

        Raises:
            TrainingFailed: workers were lost more often than `faults.max_failures`, or could not be placed.
            Stopped: this process got SIGTERM, and the run saved a checkpoint and ended.
            Exception: a worker's own error when it is a mistake of the program (`failures.MISTAKES`).
        """
        make = functools.partial(self._trainer, function, job, Reporter(monitor.box), validation)
        monitor.watch = watch = Watch(monitor.box, self.faults, self.plan, self.folder, monitor.say, monitor.tell)
        settings = {**TRAIN_SETTINGS, **self.faults.train_settings(self.plan.is_elastic)}
        if self.alone:
            settings |= ALONE_SETTINGS
        tries = _Tries(self.faults)
        with environment_defaults(settings), StopOnSignal(watch, self.faults.grace):
            while True:
                watch.begin()
                if self.plan.is_elastic:
                    reservations.refresh()
                outcome = self._fit(make, monitor)
                if isinstance(outcome, ControllerLost):
                    reservations.release(watch.run_id)
                if not tries.again(outcome):
                    return outcome
                watch.note(str(outcome), time.time())
                monitor.say(f"raydet: {outcome}; starting again from the last checkpoint")
                monitor.tell("resize" if outcome.reason == RESIZE else "failure", {"cause": str(outcome)})

    def _fit(self, make_trainer: Callable[[], Any], monitor: Monitor) -> Any:
        """The work of one controller: what rank 0 returned, or a `ControllerLost`."""
        from ray.exceptions import RayActorError, RayError
        from ray.train import TrainingFailedError

        try:
            return make_trainer().fit().return_value
        except TrainingFailedError as error:
            failure = error
        except RayActorError as error:
            return ControllerLost(f"the controller of the run was lost ({first_line(error)})")
        monitor.collect()
        if monitor.mistake is not None:
            rank, mistake, trace = monitor.mistake
            raise mistake from TrainingFailed(f"in training worker {rank}:\n{trace}")
        cause = getattr(failure, "controller_failure", None)
        if isinstance(cause, RayError):  # an actor of the controller died
            return ControllerLost(f"the controller of the run failed ({type(cause).__name__}: {first_line(cause)})")
        raise TrainingFailed(self._explain(failure)) from failure

    def _trainer(
        self, function: Callable[[dict[str, Any]], Any], job: dict[str, Any], reporter: Reporter, validation: Any
    ) -> Any:
        from ray.train import CheckpointConfig, FailureConfig, LoggingConfig, RunConfig, ScalingConfig
        from ray.train.torch import TorchConfig

        from raydet.distributed.trainer import LeanTrainer

        return LeanTrainer(
            function,
            alone=self.alone,
            train_loop_config=job,
            validation_config=validation,
            torch_config=TorchConfig(timeout_s=int(self.faults.collective_timeout)),
            scaling_config=ScalingConfig(
                num_workers=(self.plan.num_workers, self.plan.most_workers)
                if self.plan.is_elastic
                else self.plan.num_workers,
                use_gpu=self.use_gpu,
                resources_per_worker=self.plan.worker,
                label_selector=self.label_selector,
                elastic_resize_monitor_interval_s=_NEVER,  # the watch does it, with a checkpoint first
            ),
            run_config=RunConfig(
                name=self.folder.name,
                storage_path=self.folder.root,
                storage_filesystem=self.folder.filesystem,
                failure_config=FailureConfig(
                    max_failures=self.faults.max_failures,
                    max_preemption_failures=self.faults.max_preemption_failures,
                    controller_failure_limit=self.faults.controller_failure_limit,
                ),
                checkpoint_config=CheckpointConfig(num_to_keep=self.num_to_keep),
                callbacks=[FailureHandler(reporter, self.faults, self.folder, self.plan.is_elastic)],
                worker_runtime_env={"env_vars": dict(self.worker_env)} if self.worker_env else None,
                logging_config=LoggingConfig(log_level=ray_log_level()),
            ),
        )

    def _explain(self, failure: BaseException) -> str:
        workers = getattr(failure, "worker_failures", None) or {}
        if workers:
            rank, error = min(workers.items())
            cause = f"rank {rank}: {root_cause(error)}"
        else:
            cause = str(getattr(failure, "controller_failure", failure))
        return f"the run {self.folder} failed after {self.faults.max_failures} restarts: {cause}\n{self.advice}"


@dataclass
class _Tries:
    """Counts how often a run started again in a way that Ray Train does not count."""

    faults: FaultTolerance
    num_lost: int = 0
    num_preempted: int = 0

    def again(self, outcome: Any) -> bool:
        """Whether to start again after `outcome`, which is the result of the run otherwise.

        Raises:
            TrainingFailed: it happened too often.
            Stopped: the run was asked to stop.
        """
        reason = getattr(outcome, "reason", None)
        if reason == STOP:
            raise Stopped(outcome.iteration)
        if isinstance(outcome, ControllerLost):
            self.num_lost += 1
            _check_limit(self.num_lost, self.faults.controller_failure_limit, outcome)
            time.sleep(self.faults.wait_before(self.num_lost))
        elif reason == PREEMPTION:
            self.num_preempted += 1
            _check_limit(self.num_preempted, self.faults.max_preemption_failures, outcome)
        return reason is not None


def _check_limit(count: int, limit: int, outcome: Any) -> None:
    if 0 <= limit < count:
        raise TrainingFailed(f"{outcome}, for the {count}. time, and fault_tolerance allows {limit}")
