"""Hooks of a few lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from raydet.engine.hooks.base import STAGES, Hook
from raydet.engine.parallel import unwrap


class SetEpochInfoHook(Hook):
    """Tells the model the epoch, for losses and assigners that change along the run."""

    def before_train_epoch(self, runner: Any) -> None:
        unwrap(runner.model).set_epoch(runner.epoch)


class EmptyCacheHook(Hook):
    """Gives unused GPU memory back at some points of a run."""

    def __init__(self, before_epoch: bool = False, after_epoch: bool = True, after_iter: bool = False) -> None:
        self._before_epoch = before_epoch
        self._after_epoch = after_epoch
        self._after_iter = after_iter

    def before_epoch(self, runner: Any) -> None:
        if self._before_epoch:
            torch.cuda.empty_cache()

    def after_epoch(self, runner: Any) -> None:
        if self._after_epoch:
            torch.cuda.empty_cache()

    def after_iter(self, runner: Any) -> None:
        if self._after_iter:
            torch.cuda.empty_cache()


class ClosureHook(Hook):
    """Calls a function at one point of a run.

    Args:
        fn_name: name of the point, such as "after_train_epoch".
        fn: takes the runner.
    """

    def __init__(self, fn_name: str, fn: Callable[[Any], None]) -> None:
        points = (*STAGES, "before_epoch", "after_epoch", "before_iter", "after_iter")
        if fn_name not in points:
            raise ValueError(f"fn_name is {fn_name!r}, expected one of {', '.join(points)}")
        setattr(self, fn_name, fn)
