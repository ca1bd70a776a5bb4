"""What each Ray Train worker runs: the engine's training loop, or its test."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raydet.distributed.fault_tolerance import FaultTolerance
from raydet.distributed.monitor import LineHandler, Reporter
from raydet.distributed.rows import ActorPool
from raydet.distributed.settings import quiet_ray_data
from raydet.distributed.storage import RunFolder

if TYPE_CHECKING:
    from raydet.distributed.carriers import CarrierFactory
    from raydet.distributed.environment import RayEnvironment


@dataclass(frozen=True)
class Job:
    """All that a worker needs to know.

    Args:
        cfg: the config of the run.
        folder: of the run.
        pool: actors that read for one worker; None reads in the worker.
        num_threads: for operators on the CPU; None leaves the number as Ray sets it.
        box: where events for the driver go.
    """

    cfg: Any
    folder: RunFolder
    pool: ActorPool | None
    num_threads: int | None
    box: Any


def train_worker(arguments: dict[str, Any]) -> Any:
    """Train; returns the engine's `TrainingResult` of this rank, or an `Interrupted` if the run has to go on elsewhere.

    Returned and not raised, that is no failure for Ray Train.
    """
    job: Job = arguments["job"]
    from raydet.distributed.evaluation import SeparateEvaluation

    reporter = Reporter(job.box)
    with _environment(job, reporter, evaluation=SeparateEvaluation.of(job.cfg)) as environment:
        from raydet.distributed.carriers import CarrierFactory
        from raydet.distributed.stacks import listen
        from raydet.distributed.stop_requests import StopRequests
        from raydet.engine import run_training
        from raydet.engine.interruption import Interrupted

        listen()
        environment.stops = StopRequests(environment, job.box, FaultTolerance.of(job.cfg).notice_interval)

        epochs = (job.cfg.get("runner") or {}).get("max_epochs")
        resumes = environment.latest_checkpoint() is not None or bool(job.cfg.get("resume_from"))
        beat = environment.stops.pulse.beat
        factory = CarrierFactory(job.pool, reporter, epochs, fresh=not resumes, beat=beat)
        try:
            return run_training(job.cfg, environment, factory, _telemetry(job, reporter, environment, factory))
        except Interrupted as interruption:
            return interruption


def _telemetry(
    job: Job, reporter: Reporter, environment: RayEnvironment, factory: CarrierFactory
) -> Callable[[Any], None]:
    """What gives a runner the hooks that tell the driver and Ray's metrics how this worker gets on."""
    from raydet.distributed.gauges import WorkerGauges
    from raydet.distributed.telemetry import add_telemetry, gpu_probes

    gauges = WorkerGauges(job.folder.name, environment.rank)

    def tell(name: str, facts: Mapping[str, Any]) -> None:
        if name == "report":
            gauges.set(facts)
        reporter.tell(name, facts)

    probes = {**gpu_probes(environment.device), "bytes_in_flight": factory.bytes_in_flight}
    return lambda runner: add_telemetry(runner, job.cfg, tell, probes)


def test_worker(arguments: dict[str, Any]) -> dict[str, Any]:
    """Test; returns the metrics on rank 0."""
    job: Job = arguments["job"]
    reporter = Reporter(job.box)
    with _environment(job, reporter, work_dir=arguments["work_dir"]) as environment:
        from raydet.distributed.carriers import CarrierFactory
        from raydet.engine.testing import evaluate_detector

        return evaluate_detector(
            job.cfg, environment=environment, make_carrier=CarrierFactory(job.pool, reporter), **arguments["test"]
        )


@contextlib.contextmanager
def _environment(job: Job, reporter: Reporter, **options: Any) -> Iterator[RayEnvironment]:
    """The environment of this worker, ready to run the engine in."""
    reporter.phase("workers")
    quiet_ray_data()
    # Imported here so that the controller, which unpickles these functions, need not load the engine.
    import torch

    from raydet.config import import_modules
    from raydet.distributed.environment import RayEnvironment
    from raydet.engine.sharding import wants_shards

    import_modules(job.cfg.get("custom_imports") or {})  # the driver's registries do not travel
    reporter.phase("imports")
    if job.num_threads is not None:
        torch.set_num_threads(job.num_threads)
    unused = bool(job.cfg.get("find_unused_parameters", False))
    environment = RayEnvironment(
        job.folder, find_unused_parameters=unused, sharded=wants_shards(job.cfg), reporter=reporter, **options
    )
    try:
        with _lines_to_driver(reporter, environment.rank):
            yield environment
            environment.wait_for_uploads()
    finally:
        environment.close()


@contextlib.contextmanager
def _lines_to_driver(reporter: Reporter, rank: int) -> Iterator[None]:
    """Send what rank 0 logs to the driver, in the format of the log file."""
    if rank != 0:
        yield
        return
    from raydet.engine.logging import get_logger

    logger = get_logger("raydet")
    handler = LineHandler(reporter)
    handler.setFormatter(logger.handlers[0].formatter)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
