"""The progress of an epoch on a terminal."""

from __future__ import annotations

import sys
from typing import Any

from raydet.engine.hooks.base import Hook
from raydet.engine.progress import Display


class ProgressHook(Hook):
    """A bar per epoch on the terminal of rank 0. In files and pipes the lines of the text logger serve."""

    def __init__(self) -> None:
        self._display: Display | None = None

    def after_train_iter(self, runner: Any) -> None:
        if runner.rank != 0 or not sys.stderr.isatty():
            return
        if self._display is None:
            by_epoch = runner.by_epoch
            name = f"epoch {runner.epoch + 1}/{runner.max_epochs}" if by_epoch else "training"
            self._display = Display(len(runner.data_loader) if by_epoch else runner.max_iters, name, runner.logger)
            self._display.advance(runner.inner_iter if by_epoch else runner.iter)
        self._display.advance()
        if self._display.done >= self._display.total:
            self._close()

    def after_train_epoch(self, runner: Any) -> None:
        self._close()

    def after_run(self, runner: Any) -> None:
        self._close()

    def _close(self) -> None:
        if self._display is not None:
            self._display.close()
            self._display = None
