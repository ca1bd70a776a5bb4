"""The numbers of a run for services that track experiments. Each needs its own package, and only rank 0 writes."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from raydet.engine.hooks.logger import LoggerHook
from raydet.engine.parallel import unwrap


def import_tracker(module: str, hook: Any) -> Any:
    """The module of a service.

    Raises:
        ImportError: its package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ImportError(
            f"{type(hook).__name__} needs the package {package}: pip install {package}, or remove the hook from "
            "log_config.hooks"
        ) from error


class MlflowLoggerHook(LoggerHook):
    """Writes metrics to MLflow, and the model at the end.

    Args:
        exp_name: experiment, made when it does not exist.
        tags: of the run.
        params: of the run.
        log_model: also store the trained model.
        **options: `interval`, `ignore_last`, `reset_flag` and `by_epoch`, as in `LoggerHook`.
    """

    writes_alone = True

    def __init__(
        self,
        exp_name: str | None = None,
        tags: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        log_model: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.mlflow = import_tracker("mlflow", self)
        self.exp_name = exp_name
        self.tags = tags
        self.params = params
        self.log_model = log_model

    def start(self, runner: Any) -> None:
        if self.exp_name is not None:
            self.mlflow.set_experiment(self.exp_name)
        if self.tags is not None:
            self.mlflow.set_tags(dict(self.tags))
        if self.params is not None:
            self.mlflow.log_params(dict(self.params))

    def log(self, runner: Any) -> None:
        self.mlflow.log_metrics(self.get_loggable_tags(runner), step=self.get_iter(runner))

    def finish(self, runner: Any) -> None:
        if self.log_model:
            store = import_tracker("mlflow.pytorch", self)
            store.log_model(unwrap(runner.model), "models", pip_requirements=[f"torch=={torch.__version__}"])


class NeptuneLoggerHook(LoggerHook):
    """Writes metrics to Neptune.

    Args:
        init_kwargs: arguments of `neptune.init_run`, such as `dict(project="group/name")`.
        reset_flag: forget a record once it is written.
        with_step: give each value its iteration; else log that as `global_step`.
        **options: `interval`, `ignore_last` and `by_epoch`, as in `LoggerHook`.
    """

    writes_alone = True

    def __init__(
        self,
        init_kwargs: Mapping[str, Any] | None = None,
        reset_flag: bool = True,
        with_step: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(reset_flag=reset_flag, **options)
        self.neptune = import_tracker("neptune", self)
        self.init_kwargs = init_kwargs
        self.with_step = with_step
        self.run: Any = None

    def start(self, runner: Any) -> None:
        self.run = self.neptune.init_run(**(self.init_kwargs or {}))

    def log(self, runner: Any) -> None:
        step = {"step": self.get_iter(runner)} if self.with_step else {}
        tags = self.get_loggable_tags(runner)
        if not self.with_step:
            tags["global_step"] = self.get_iter(runner)
        for name, value in tags.items():
            self.run[name].append(value, **step)

    def finish(self, runner: Any) -> None:
        self.run.stop()


class ClearMLLoggerHook(LoggerHook):
    """Writes scalars to ClearML.

    Args:
        init_kwargs: arguments of `clearml.Task.init`, such as `dict(project_name=..., task_name=...)`.
        **options: `interval`, `ignore_last`, `reset_flag` and `by_epoch`, as in `LoggerHook`.
    """

    writes_alone = True

    def __init__(self, init_kwargs: Mapping[str, Any] | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.clearml = import_tracker("clearml", self)
        self.init_kwargs = init_kwargs
        self.task_logger: Any = None

    def start(self, runner: Any) -> None:
        self.task_logger = self.clearml.Task.init(**(self.init_kwargs or {})).get_logger()

    def log(self, runner: Any) -> None:
        for name, value in self.get_loggable_tags(runner).items():
            self.task_logger.report_scalar(name, name, value, self.get_iter(runner))


class DvcliveLoggerHook(LoggerHook):
    """Writes metrics with DVCLive.

    Args:
        model_file: checkpoint that is written anew after each epoch, for DVC to track.
        interval: as in `LoggerHook`, like `ignore_last`, `reset_flag` and `by_epoch`.
        ignore_last: see there.
        reset_flag: see there.
        by_epoch: see there.
        dvclive: a `dvclive.Live` to write to; made with `**kwargs` when None.
        **kwargs: of `dvclive.Live`.
    """

    takes_any_argument = True
    writes_alone = True

    def __init__(
        self,
        model_file: str | None = None,
        interval: int = 10,
        ignore_last: bool = True,
        reset_flag: bool = False,
        by_epoch: bool = True,
        dvclive: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(interval, ignore_last, reset_flag, by_epoch)
        self.model_file = model_file
        self.dvclive = dvclive or import_tracker("dvclive", self).Live(**kwargs)

    def log(self, runner: Any) -> None:
        self.dvclive.step = self.get_iter(runner)
        for name, value in self.get_loggable_tags(runner).items():
            self.dvclive.log_metric(name, value)

    def after_train_epoch(self, runner: Any) -> None:
        super().after_train_epoch(runner)
        if self.model_file is not None and runner.rank == 0:
            path = Path(self.model_file)
            runner.save_checkpoint(path.parent, filename_tmpl=path.name, create_symlink=False)

    def finish(self, runner: Any) -> None:
        self.dvclive.end()


class SegmindLoggerHook(LoggerHook):
    """Writes metrics to Segmind.

    Args:
        **options: `interval`, `ignore_last`, `reset_flag` and `by_epoch`, as in `LoggerHook`.
    """

    writes_alone = True

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.tracking = import_tracker("segmind.tracking.fluent", self)

    def log(self, runner: Any) -> None:
        self.tracking.log_metrics(self.get_loggable_tags(runner), step=runner.epoch, epoch=runner.epoch)


class PaviLoggerHook(LoggerHook):
    """Writes scalars to Pavi, and the last checkpoint.

    Args:
        init_kwargs: arguments of `pavi.SummaryWriter`; the name of the run is the work dir's unless given.
        add_graph: no longer supported, like `img_key`.
        img_key: see there.
        add_last_ckpt: also store the last checkpoint at the end.
        add_graph_kwargs: no longer supported.
        add_ckpt_kwargs: arguments of the writer's `add_snapshot_file`.
        **options: `interval`, `ignore_last`, `reset_flag` and `by_epoch`, as in `LoggerHook`.
    """

    writes_alone = True

    def __init__(
        self,
        init_kwargs: Mapping[str, Any] | None = None,
        add_graph: bool | None = None,
        img_key: str | None = None,
        add_last_ckpt: bool = False,
        add_graph_kwargs: Mapping[str, Any] | None = None,
        add_ckpt_kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if add_graph or add_graph_kwargs:
            raise ValueError("PaviLoggerHook of raydet draws no graph of the model; remove add_graph")
        self.pavi = import_tracker("pavi", self)
        self.init_kwargs = init_kwargs
        self.add_last_ckpt = add_last_ckpt
        self.add_ckpt_kwargs = add_ckpt_kwargs
        self.writer: Any = None

    def start(self, runner: Any) -> None:
        self.writer = self.pavi.SummaryWriter(
            **{"name": Path(runner.work_dir).resolve().name, **(self.init_kwargs or {})}
        )

    def log(self, runner: Any) -> None:
        tags = self.get_loggable_tags(runner, add_mode=False)
        step = self.get_epoch(runner) if self.by_epoch and self.get_mode(runner) == "val" else self.get_iter(runner)
        self.writer.add_scalars(self.get_mode(runner), tags, step)

    def finish(self, runner: Any) -> None:
        newest = Path(runner.work_dir, "latest.pth")
        if self.add_last_ckpt and newest.exists():
            options = {"tag": Path(runner.work_dir).resolve().name, "iteration": runner.iter}
            self.writer.add_snapshot_file(
                snapshot_file_path=str(newest.resolve()), **options, **(self.add_ckpt_kwargs or {})
            )
        self.writer.close()
