"""Running a function in Ray Train workers, in a run folder, with restarts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from raydet.distributed.failures import StopAtMistakes, root_cause
from raydet.distributed.fault_tolerance import FaultTolerance
from raydet.distributed.monitor import Monitor, Reporter
from raydet.distributed.resources import ResourcePlan
from raydet.distributed.settings import TRAIN_SETTINGS, environment_defaults, ray_log_level
from raydet.distributed.storage import RunFolder


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
        advice: what to do after a failure.
    """

    plan: ResourcePlan
    folder: RunFolder
    use_gpu: bool = False
    faults: FaultTolerance = field(default_factory=FaultTolerance)
    num_to_keep: int | None = 1
    label_selector: dict[str, str] | None = None
    worker_env: Mapping[str, str] = field(default_factory=dict)
    advice: str = "Its checkpoints are kept; go on with resume=True (--resume) when the cause is gone"

    def run(self, function: Callable[[dict[str, Any]], Any], job: dict[str, Any], monitor: Monitor) -> Any:
        """Run `function(job)` in every worker and return what rank 0 returned.

        Raises:
            TrainingFailed: workers were lost more often than `faults.max_failures`, or could not be placed.
            Exception: a worker's own error when it is a mistake of the program (`failures.MISTAKES`).
        """
        from ray.train import TrainingFailedError

        with environment_defaults({**TRAIN_SETTINGS, **self.faults.train_settings(self.plan.is_elastic)}):
            try:
                return self._trainer(function, job, Reporter(monitor.box)).fit().return_value
            except TrainingFailedError as error:
                failure = error
        monitor.collect()
        if monitor.mistake is not None:
            rank, mistake, trace = monitor.mistake
            raise mistake from TrainingFailed(f"in training worker {rank}:\n{trace}")
        raise TrainingFailed(self._explain(failure)) from failure

    def _trainer(self, function: Callable[[dict[str, Any]], Any], job: dict[str, Any], reporter: Reporter) -> Any:
        from ray.train import CheckpointConfig, FailureConfig, LoggingConfig, RunConfig, ScalingConfig
        from ray.train.torch import TorchConfig, TorchTrainer

        return TorchTrainer(
            function,
            train_loop_config=job,
            torch_config=TorchConfig(timeout_s=int(self.faults.collective_timeout)),
            scaling_config=ScalingConfig(
                num_workers=(self.plan.num_workers, self.plan.most_workers)
                if self.plan.is_elastic
                else self.plan.num_workers,
                use_gpu=self.use_gpu,
                resources_per_worker=self.plan.worker,
                label_selector=self.label_selector,
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
                callbacks=[StopAtMistakes(reporter)],
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
