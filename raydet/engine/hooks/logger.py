"""The common part of hooks that write down the numbers of a run."""

from __future__ import annotations

from typing import Any, ClassVar

from raydet.engine.hooks.base import Hook


class LoggerHook(Hook):
    """Averages the log buffer every `interval` iterations and hands it to `log`.

    What a logger opens and closes around a run stands in `start` and `finish`, which act on rank 0.

    Args:
        interval: iterations between records.
        ignore_last: no record for the iterations at the end of an epoch that are fewer than `interval`.
        reset_flag: forget a record once it is written; set for the last logger of a run.
        by_epoch: count iterations within the epoch.
    """

    continues_stage = True
    writes_alone: ClassVar[bool] = False
    """Whether rank 0 alone calls `log`."""

    def __init__(
        self, interval: int = 10, ignore_last: bool = True, reset_flag: bool = False, by_epoch: bool = True
    ) -> None:
        self.interval = interval
        self.ignore_last = ignore_last
        self.reset_flag = reset_flag
        self.by_epoch = by_epoch

    def log(self, runner: Any) -> None:
        """Write `runner.log_buffer.output`."""
        raise NotImplementedError

    def start(self, runner: Any) -> None:
        """Open what `log` writes to."""

    def finish(self, runner: Any) -> None:
        """Close it."""

    def get_mode(self, runner: Any) -> str:
        """`"train"` for records of iterations, `"val"` for records of an evaluation."""
        if runner.mode not in ("train", "val"):
            raise ValueError(f"the mode of a runner is 'train' or 'val', got {runner.mode!r}")
        return "train" if runner.mode == "train" and "time" in runner.log_buffer.output else "val"

    def get_epoch(self, runner: Any) -> int:
        """The current epoch counted from 1; in a validation phase the epoch that was trained last."""
        return int(runner.epoch + 1 if runner.mode == "train" else runner.epoch)

    def get_iter(self, runner: Any, inner_iter: bool = False) -> int:
        """The current iteration counted from 1, within the epoch when `inner_iter` and `by_epoch`."""
        return int(runner.inner_iter + 1 if self.by_epoch and inner_iter else runner.iter + 1)

    def get_lr_tags(self, runner: Any) -> dict[str, float]:
        return _tags("learning_rate", runner.current_lr())

    def get_momentum_tags(self, runner: Any) -> dict[str, float]:
        return _tags("momentum", runner.current_momentum())

    def get_loggable_tags(
        self,
        runner: Any,
        allow_scalar: bool = True,
        allow_text: bool = False,
        add_mode: bool = True,
        tags_to_skip: tuple[str, ...] = ("time", "data_time"),
    ) -> dict[str, Any]:
        """The record as flat names such as `train/loss`, with rate and momentum."""
        prefix = f"{self.get_mode(runner)}/" if add_mode else ""
        tags = {
            f"{prefix}{name}": value
            for name, value in runner.log_buffer.output.items()
            if name not in tags_to_skip and (allow_text if isinstance(value, str) else allow_scalar)
        }
        return {**tags, **self.get_lr_tags(runner), **self.get_momentum_tags(runner)}

    def before_run(self, runner: Any) -> None:
        loggers = [hook for hook in runner.hooks if isinstance(hook, LoggerHook)]
        if loggers:
            loggers[-1].reset_flag = True
        if runner.rank == 0:
            self.start(runner)

    def after_run(self, runner: Any) -> None:
        if runner.rank == 0:
            self.finish(runner)

    def before_epoch(self, runner: Any) -> None:
        runner.log_buffer.clear()

    def after_train_iter(self, runner: Any) -> None:
        due = self.every_n_inner_iters if self.by_epoch else self.every_n_iters
        if due(runner, self.interval) or (self.end_of_epoch(runner) and not self.ignore_last):
            runner.log_buffer.average(self.interval)
        self._flush(runner)

    def after_train_epoch(self, runner: Any) -> None:
        self._flush(runner)

    def after_val_epoch(self, runner: Any) -> None:
        runner.log_buffer.average()
        self._flush(runner)

    def _flush(self, runner: Any) -> None:
        if not runner.log_buffer.ready:
            return
        if runner.rank == 0 or not self.writes_alone:
            self.log(runner)
        if self.reset_flag:
            runner.log_buffer.clear_output()


def _tags(name: str, values: Any) -> dict[str, float]:
    if isinstance(values, dict):
        return {f"{name}/{key}": each[0] for key, each in values.items()}
    return {name: values[0]}
