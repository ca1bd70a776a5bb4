"""The progress of an epoch on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from raydet.engine.hooks.base import Hook
from raydet.engine.progress import Display

_LAST = 20  # iterations over which speed and losses are averaged


class ProgressHook(Hook):
    """A bar per epoch on the terminal of rank 0. In files and pipes the lines of the text logger serve.

    Behind the bar stand loss, iterations per second, the share of time spent waiting for data, and GPU memory.
    """

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
        self._display.describe(describe(runner.log_buffer.val_history))
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


def describe(history: Mapping[str, Sequence[float]]) -> str:
    """Loss, speed, data share and memory in a few words, as far as they are known."""
    last = {name: sum(values[-_LAST:]) / len(values[-_LAST:]) for name, values in history.items() if values}
    parts = [f"loss {last['loss']:.4g}"] if "loss" in last else []
    if last.get("time", 0) > 0:
        parts += [f"{1 / last['time']:.1f} it/s", f"data {100 * last.get('data_time', 0) / last['time']:.0f} %"]
    if torch.cuda.is_available():
        parts.append(f"{torch.cuda.max_memory_allocated() / 2**20:.0f} MB")
    return ", ".join(parts)
