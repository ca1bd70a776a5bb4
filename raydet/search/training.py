"""Trials that train detectors: ordinary raydet runs, in the process of the trial or in Ray Train workers."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raydet.config import Config
from raydet.distributed.request import prepare
from raydet.distributed.rows import ActorPool
from raydet.search.file import Sweep
from raydet.search.ledger import LEDGER
from raydet.search.measure import Measure
from raydet.search.plan import SweepPlan, actor_pool, threads
from raydet.search.settings import PruningSettings, TrialSettings
from raydet.search.task import ReportFunction, TrialFunction, TrialTask
from raydet.search.trial_config import last_step, trial_config

HOOK = "SweepReportHook"


@dataclass(frozen=True)
class TrainInside:
    """Trains in the process that calls it; a `TrialFunction`.

    Args:
        base: the sweep's config.
        pruning: when trials report.
        measure: what is measured of a trained model.
        pool: actors that read; None reads with a DataLoader.
        num_threads: for operators on the CPU; None leaves the number as it is.
    """

    base: Config
    pruning: PruningSettings
    measure: Measure
    pool: ActorPool | None = None
    num_threads: int | None = None

    def __call__(self, task: TrialTask, report: ReportFunction) -> Mapping[str, float]:
        import torch

        from raydet.config import import_modules
        from raydet.distributed.carriers import CarrierFactory
        from raydet.distributed.monitor import Reporter
        from raydet.engine import LocalEnvironment, run_training
        from raydet.search.reporting import SweepReportHook

        check_shared(Path(task.folder))
        import_modules(self.base.get("custom_imports") or {})
        if self.num_threads is not None:
            torch.set_num_threads(self.num_threads)
        cfg = trial_config(self.base, task, self.pruning)
        environment = LocalEnvironment(Path(task.folder), resume=True)
        _dump(cfg, environment.work_dir)
        goes_on = _Remembered(report)
        hook = SweepReportHook(goes_on, self.pruning.unit == "epoch", self.pruning.interval)
        factory = CarrierFactory(self.pool, Reporter(None), (cfg.get("runner") or {}).get("max_epochs"))
        with _quiet_console():
            run_training(cfg, environment, factory, lambda runner: runner.register_hook(hook, "LOWEST"))
        gc.collect()  # the process goes on with other trials, whose models need the memory
        return self.measure.of(cfg, task.folder) if goes_on.to_the_end(last_step(cfg, self.pruning)) else {}


@dataclass(frozen=True)
class TrainWorkers:
    """Trains in Ray Train workers; a `TrialFunction`.

    Args:
        base: the sweep's config.
        pruning: when trials report.
        measure: what is measured of a trained model.
        plan: of the sweep.
        settings: of a trial.
    """

    base: Config
    pruning: PruningSettings
    measure: Measure
    plan: SweepPlan
    settings: TrialSettings

    def __call__(self, task: TrialTask, report: ReportFunction) -> Mapping[str, float]:
        from raydet.distributed import train
        from raydet.search.mailbox import relayed

        cfg = trial_config(self.base, task, self.pruning)
        goes_on = _Remembered(report)
        with relayed(goes_on) as mailbox:
            hook = {"type": HOOK, "line": mailbox, "by_epoch": self.pruning.unit == "epoch", "priority": "LOWEST"}
            cfg["custom_hooks"] = [*(cfg.get("custom_hooks") or []), {**hook, "interval": self.pruning.interval}]
            train(
                cfg,
                num_workers=self.settings.num_workers,
                use_gpu="GPU" in self.plan.trial.worker,
                resources_per_worker=self.plan.trial.worker,
                work_dir=task.folder,
                resume=True,
                max_failures=self.settings.max_failures,
                carrier=self.settings.carrier,
                say=lambda line: None,
            )
        return self._measure(cfg, task) if goes_on.to_the_end(last_step(cfg, self.pruning)) else {}

    def _measure(self, cfg: Config, task: TrialTask) -> Mapping[str, float]:
        """Measure with the resources of a worker, which the process of the trial does not have itself."""
        import ray

        if not self.measure.names:
            return {}
        worker = self.plan.trial.worker
        measure = ray.remote(num_cpus=worker.get("CPU", 0), num_gpus=worker.get("GPU", 0))(self.measure.of)
        return dict(ray.get(measure.options(scheduling_strategy="DEFAULT").remote(cfg, task.folder)))


class _Remembered:
    """A report function that knows what it was asked and answered last."""

    def __init__(self, report: ReportFunction) -> None:
        self._report = report
        self._step = 0
        self._goes_on = True

    def __call__(self, step: int, metrics: Mapping[str, float]) -> bool:
        self._step, self._goes_on = step, self._report(step, metrics)
        return self._goes_on

    def to_the_end(self, last: int) -> bool:
        """Whether the run came to its last step and its sweep wants the rest."""
        return self._step == last and self._goes_on


def check_shared(folder: Path) -> None:
    """The ledger stands in the sweep folder on the driver's node; the process of a trial must see it.

    Raises:
        FileNotFoundError: the folder is on another machine's own disk.
    """
    if not any((parent / LEDGER).exists() for parent in folder.parents):
        raise FileNotFoundError(
            f"a trial on {os.uname().nodename} does not see the folder of its sweep above {folder}; "
            "sweeps on several nodes need a folder that all of them reach"
        )


def _dump(cfg: Config, folder: Path) -> None:
    """Write the config into the folder of a run, where `raydet test` and people look for it."""
    name = Path(cfg.filename).with_suffix(".py").name if cfg.filename else "config.py"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(cfg.pretty_text)


@contextlib.contextmanager
def _quiet_console() -> Iterator[None]:
    """Let runs log into their files alone: the console is the sweep's."""
    from raydet.engine.logging import get_logger

    consoles = [each for each in get_logger("raydet").handlers if not isinstance(each, logging.FileHandler)]
    for each in consoles:
        each.addFilter(_is_error)
    try:
        yield
    finally:
        for each in consoles:
            each.removeFilter(_is_error)


def _is_error(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR


def local_trial(sweep: Sweep) -> TrialFunction:
    """What trains the trials of a sweep in this process."""
    return TrainInside(_base(sweep), sweep.pruning, Measure.of_sweep(sweep))


def ray_trial(sweep: Sweep, plan: SweepPlan) -> TrialFunction:
    """What trains the trials of a sweep on a cluster."""
    measure = Measure.of_sweep(sweep)
    if not plan.inside:
        return TrainWorkers(_base(sweep), sweep.pruning, measure, plan, sweep.trial)
    pool = actor_pool(plan) if sweep.trial.carrier == "ray" else None
    return TrainInside(_base(sweep), sweep.pruning, measure, pool, threads(plan))


def _base(sweep: Sweep) -> Any:
    return prepare(sweep.config, None)
