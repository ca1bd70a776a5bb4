"""Trials that train detectors: ordinary raydet runs, in this process or in Ray Train workers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raydet.config import Config
from raydet.distributed.request import prepare
from raydet.distributed.rows import ActorPool
from raydet.search.file import Sweep
from raydet.search.plan import SweepPlan, actor_pool, threads
from raydet.search.settings import Objective, PruningSettings
from raydet.search.task import ReportFunction, TrialFunction, TrialTask
from raydet.search.trial_config import trial_config


@dataclass(frozen=True)
class TrainInside:
    """Trains in the process that calls it; a `TrialFunction`.

    Args:
        base: the sweep's config.
        objectives: what is improved.
        pruning: when trials report.
        pool: actors that read; None reads with a DataLoader.
        num_threads: for operators on the CPU; None leaves the number as it is.
    """

    base: Config
    objectives: tuple[Objective, ...]
    pruning: PruningSettings
    pool: ActorPool | None = None
    num_threads: int | None = None

    def __call__(self, task: TrialTask, report: ReportFunction) -> Mapping[str, float]:
        import torch

        from raydet.config import import_modules
        from raydet.distributed.carriers import CarrierFactory
        from raydet.distributed.monitor import Reporter
        from raydet.engine import LocalEnvironment

        import_modules(self.base.get("custom_imports") or {})
        if self.num_threads is not None:
            torch.set_num_threads(self.num_threads)
        cfg = trial_config(self.base, task, self.pruning)
        environment = LocalEnvironment(Path(task.folder), resume=True)
        dump_config(cfg, environment.work_dir)
        epochs = (cfg.get("runner") or {}).get("max_epochs")
        factory = CarrierFactory(self.pool, Reporter(None), epochs)
        if not run_trial(cfg, environment, factory, report, self.pruning):
            return {}
        return {}


def dump_config(cfg: Config, folder: Path) -> None:
    """Write the config into the folder of a run, where `raydet test` and people look for it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.py").write_text(cfg.pretty_text)


def run_trial(
    cfg: Config, environment: Any, make_carrier: Any, report: ReportFunction | None, pruning: PruningSettings
) -> bool:
    """Train a trial on this rank; whether it came to its end.

    Args:
        cfg: of the trial.
        environment: where it runs.
        make_carrier: brings its data.
        report: asks the sweep, on rank 0; None elsewhere.
        pruning: when it is evaluated, and on how much.
    """
    from raydet.datasets.part import keep_part
    from raydet.engine import run_training
    from raydet.search.reporting import ReportHook, TrialStopped

    runners: list[Any] = []

    def with_part(dataset: Any, data: Any, split: str, **more: Any) -> Any:
        if split == "val":
            keep_part(dataset, pruning.val_fraction)
        return make_carrier(dataset, data, split, **more)

    def extend(runner: Any) -> None:
        runners.append(runner)
        runner.register_hook(ReportHook(report, pruning.unit == "epoch", pruning.interval), "LOWEST")

    try:
        run_training(cfg, environment, with_part, extend)
    except TrialStopped:
        runners[0].call_hook("after_run")
        return False
    return True


def local_trial(sweep: Sweep) -> TrialFunction:
    """What trains the trials of a sweep in this process."""
    return TrainInside(prepare(sweep.config, None), sweep.objectives, sweep.pruning)


def ray_trial(sweep: Sweep, plan: SweepPlan) -> TrialFunction:
    """What trains the trials of a sweep on a cluster."""
    base = prepare(sweep.config, None)
    pool = actor_pool(plan) if sweep.trial.carrier == "ray" else None
    return TrainInside(base, sweep.objectives, sweep.pruning, pool, threads(plan))
