"""`raydet.train`: train a config in this process or on a Ray cluster."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raydet.config import Config, ensure_valid
from raydet.distributed.cluster import Connection, connected
from raydet.distributed.evaluation import SeparateEvaluation, last_metrics
from raydet.distributed.fault_tolerance import FaultTolerance
from raydet.distributed.gauges import RunCounters
from raydet.distributed.launch import Launch
from raydet.distributed.monitor import Monitor, Startup
from raydet.distributed.network import worker_environment
from raydet.distributed.request import Request, num_threads, prepare
from raydet.distributed.resources import ResourcePlan
from raydet.distributed.run_record import RunRecord
from raydet.distributed.storage import RunFolder, open_run_folder
from raydet.distributed.watch import Restart

if TYPE_CHECKING:
    from raydet.engine import TrainingResult


@dataclass(frozen=True)
class RunResult:
    """What a run leaves behind.

    Attributes:
        metrics: of the last evaluation, empty without one.
        folder: the run folder, a path or URI.
        checkpoint: the newest checkpoint file, None when there is none or it is in object storage.
        startup: seconds of each phase until the first step was done.
        bad_samples: records of samples that were replaced, with their rank.
        restarts: each time that the run went on with new workers, and what was lost.
    """

    metrics: dict[str, Any]
    folder: str
    checkpoint: Path | None
    startup: dict[str, float] = field(default_factory=dict)
    bad_samples: list[dict[str, Any]] = field(default_factory=list)
    restarts: list[Restart] = field(default_factory=list)

    @property
    def work_dir(self) -> Path:
        """The run folder on this machine."""
        return Path(self.folder)


def train(
    cfg: Config | str | Path,
    *,
    num_workers: int | tuple[int, int] | str = 1,
    use_gpu: bool | None = None,
    resources_per_worker: Mapping[str, float] | None = None,
    storage: str | None = None,
    name: str | None = None,
    work_dir: str | None = None,
    resume: bool = False,
    max_failures: int | None = None,
    local: bool = False,
    cfg_options: Mapping[str, Any] | None = None,
    carrier: str = "ray",
    data_label_selector: Mapping[str, str] | str | None = None,
    worker_label_selector: Mapping[str, str] | None = None,
    address: str | None = None,
    wait: float = 600.0,
    dry_run: bool = False,
    say: Callable[[str], None] = print,
) -> RunResult:
    """Train the detector of a config.

    Args:
        cfg: a config, or the path of its file.
        num_workers: training processes, each with one GPU where there are any; (2, 8) or "2:8" trains with as many of
            2 to 8 as the cluster has room for, see `elastic` of a config.
        use_gpu: None uses GPUs when the cluster has some.
        resources_per_worker: Ray resources of a worker, such as `{"CPU": 4, "GPU": 1}`.
        storage: folder of all runs, a local or shared path or a URI such as `s3://bucket/runs`; `work_dirs` when None.
        name: of the run; new and unique when None. A name that is taken is refused unless `resume`.
        work_dir: the run folder as one local path, in place of `storage` and `name`.
        resume: go on from the newest complete checkpoint of the run; without a name, of the newest run of this config.
        max_failures: restarts after lost workers; the config's `fault_tolerance.max_failures`, else 3; -1 for no limit.
        local: train in this process, without Ray.
        cfg_options: changes of the config, as `--cfg-options`.
        carrier: "ray" reads data with Ray Data, "torch" with a DataLoader in each worker.
        data_label_selector: nodes on which Ray Data reads, such as `{"pool": "data"}`; "worker" keeps each worker's
            data actors on its node.
        worker_label_selector: nodes on which workers train.
        address: a Ray cluster to join; see `raydet.distributed.cluster.connected`.
        wait: seconds to wait for a cluster that others use.
        dry_run: check the config, and say where the run would run and what it would take of the cluster; write nothing.
        say: prints the lines of the run.

    Raises:
        ValueError: the config, the name of the run or the resources are impossible.
        TimeoutError: the cluster stayed busy.
        TrainingFailed: workers were lost more often than `max_failures`.
        Stopped: this process got SIGTERM; the run has saved a checkpoint, and resume=True goes on with it.
    """
    cfg = prepare(cfg, cfg_options)
    request = Request(
        num_workers=num_workers,
        use_gpu=use_gpu,
        resources_per_worker=resources_per_worker,
        faults=FaultTolerance.of(cfg, max_failures=max_failures),
        carrier=carrier,
        data_label_selector=data_label_selector,
        worker_label_selector=worker_label_selector,
        wait=wait,
        say=say,
    )
    stem = Path(cfg.filename).stem if cfg.filename else "run"
    folder = open_run_folder(storage, name, stem=stem, resume=resume, work_dir=work_dir)
    if local:
        return _train_here(cfg, folder, request, resume, dry_run)
    startup = Startup()
    with ThreadPoolExecutor(max_workers=1) as thread:
        checked = thread.submit(ensure_valid, cfg)  # imports much, which takes as long as Ray does to start
        with connected(address) as connection:
            checked.result()
            startup.mark("ray init")
            if dry_run:
                say(f"run {folder}: {request.fitting_plan(cfg, 'train', connection.alone)}")
                return RunResult({}, str(folder.local or folder), None)
            return _train_on_ray(cfg, folder, request, startup, connection)


def _train_here(cfg: Config, folder: RunFolder, request: Request, resume: bool, dry_run: bool) -> RunResult:
    """Train in this process."""
    from raydet.datasets import build_carrier
    from raydet.distributed.telemetry import add_telemetry, gpu_probes
    from raydet.engine import LocalEnvironment, run_training

    if folder.local is None:
        raise ValueError(f"local=True writes to a local folder, got storage {folder.label!r}; train with Ray to use it")
    if request.workers != (1, 1):
        raise ValueError(
            f"local=True trains in this process alone, got num_workers={request.num_workers!r}; leave out one of them"
        )
    ensure_valid(cfg)
    if dry_run:
        request.say(f"run {folder}: in this process")
        return RunResult({}, str(folder.local), None)
    _dump(cfg, folder)
    environment = LocalEnvironment(folder.local, resume=resume)
    with RunRecord(folder, _launch_facts(cfg, "in this process"), best_by=_best_by(cfg)) as record:
        probes = gpu_probes(environment.device)
        extend = functools.partial(add_telemetry, cfg=cfg, tell=record.tell, probes=probes)
        return _result(run_training(cfg, environment, build_carrier, extend), folder)


def _train_on_ray(
    cfg: Config, folder: RunFolder, request: Request, startup: Startup, connection: Connection
) -> RunResult:
    from raydet.distributed.worker import Job, train_worker

    separate = SeparateEvaluation.of(cfg)
    plan = request.plan(cfg, "train", connection.alone)
    request.say(f"run {folder}: {plan}")
    _set_batch(cfg, plan)
    _dump(cfg, folder)
    launch = Launch(
        plan,
        folder,
        use_gpu="GPU" in plan.worker,
        faults=request.faults,
        num_to_keep=1 if folder.local is not None else _kept(cfg),
        label_selector=request.workers_on,
        worker_env=worker_environment(cfg, connection.alone),
        alone=connection.alone,
    )
    counters = RunCounters(folder.name)
    # A program that has its own connection to Ray sees the lines of workers through it.
    with (
        RunRecord(folder, _launch_facts(cfg, str(plan)), _best_by(cfg), counters.update) as record,
        Monitor(startup, request.say, lines=connection.own, record=record) as monitor,
    ):
        job = Job(cfg, folder, request.pool(plan), num_threads(plan), monitor.box)
        validation = separate and separate.validation_config(cfg, folder, monitor.box, launch.use_gpu)
        result = launch.run(train_worker, {"job": job}, monitor, validation)
    if separate is not None:
        result = replace(result, metrics=last_metrics(folder))
    restarts = monitor.watch.restarts if monitor.watch else []
    return _result(result, folder, startup=startup.seconds(), bad_samples=monitor.bad_samples, restarts=restarts)


def _set_batch(cfg: Config, plan: ResourcePlan) -> None:
    """Batch size and learning rate of an elastic config are those of the most workers, unless it says otherwise."""
    if plan.is_elastic or cfg.get("elastic"):
        section = dict(cfg.get("elastic") or {})
        section.setdefault("workers", plan.most_workers)
        cfg["elastic"] = section


def _launch_facts(cfg: Config, resources: str) -> dict[str, Any]:
    """What the record of the run says of this launch."""
    return {"config": Path(cfg.filename).name if cfg.filename else "", "resources": resources, "seed": cfg.get("seed")}


def _best_by(cfg: Config) -> str:
    """The metric by which evaluations are compared; empty for the first one."""
    wanted = (cfg.get("evaluation") or {}).get("save_best")
    return wanted if isinstance(wanted, str) and wanted != "auto" else ""


def _kept(cfg: Config) -> int | None:
    """Checkpoints kept in object storage: 2.x `max_keep_ckpts`."""
    kept = int((cfg.get("checkpoint_config") or {}).get("max_keep_ckpts", -1))
    return kept if kept > 0 else None


def _dump(cfg: Config, folder: RunFolder) -> None:
    """Write the config into the run folder, where `raydet test` and people look for it."""
    filename = Path(cfg.filename).with_suffix(".py").name if cfg.filename else "config.py"
    folder.filesystem.create_dir(folder.path)
    with folder.filesystem.open_output_stream(f"{folder.path}/{filename}") as stream:
        stream.write(cfg.pretty_text.encode())


def _result(result: TrainingResult, folder: RunFolder, **more: Any) -> RunResult:
    checkpoint = result.checkpoint if folder.local is not None else None
    return RunResult(result.metrics, str(folder.local or folder), checkpoint, **more)
