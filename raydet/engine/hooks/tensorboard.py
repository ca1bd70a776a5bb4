"""The numbers of a run for TensorBoard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from raydet.engine.hooks.logger import LoggerHook


class TensorboardLoggerHook(LoggerHook):
    """Writes scalars and texts as TensorBoard events.

    Args:
        log_dir: folder of the events; `tf_logs` in the work dir when None.
        **options: `interval`, `ignore_last`, `reset_flag` and `by_epoch`, as in `LoggerHook`.
    """

    writes_alone = True

    def __init__(self, log_dir: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.log_dir = log_dir
        self.writer: Any = None

    def start(self, runner: Any) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ImportError(
                "TensorboardLoggerHook needs the package tensorboard: install raydet[track], or remove the hook"
            ) from error
        self.writer = SummaryWriter(self.log_dir or str(Path(runner.work_dir, "tf_logs")))

    def log(self, runner: Any) -> None:
        for tag, value in self.get_loggable_tags(runner, allow_text=True).items():
            add = self.writer.add_text if isinstance(value, str) else self.writer.add_scalar
            add(tag, value, self.get_iter(runner))

    def finish(self, runner: Any) -> None:
        self.writer.close()
