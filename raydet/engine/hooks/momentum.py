"""Schedules of the momentum."""

from __future__ import annotations

from typing import Any

from raydet.engine.hooks import curves
from raydet.engine.hooks.updater import MomentumUpdaterHook


class StepMomentumUpdaterHook(MomentumUpdaterHook):
    """Multiplied by `gamma` at every step.

    Args:
        step: the epochs (or iterations) at which to step, or how many lie between two steps.
        gamma: factor of a step.
        min_momentum: the momentum does not fall below it.
    """

    def __init__(
        self, step: int | list[int], gamma: float = 0.5, min_momentum: float | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.step = curves.check_steps(step)
        self.gamma = gamma
        self.min_momentum = min_momentum

    def get_momentum(self, runner: Any, base_momentum: float) -> float:
        return curves.step(base_momentum, self.progress(runner)[0], self.step, self.gamma, self.min_momentum)


class CosineAnnealingMomentumUpdaterHook(MomentumUpdaterHook):
    """Falls along half a cosine to `min_momentum`, or to `min_momentum_ratio` times the initial value."""

    def __init__(
        self, min_momentum: float | None = None, min_momentum_ratio: float | None = None, **kwargs: Any
    ) -> None:
        curves.check_target(min_momentum, min_momentum_ratio, "momentum")
        super().__init__(**kwargs)
        self.min_momentum = min_momentum
        self.min_momentum_ratio = min_momentum_ratio

    def get_momentum(self, runner: Any, base_momentum: float) -> float:
        now, end = self.progress(runner)
        lowest = curves.target(base_momentum, self.min_momentum, self.min_momentum_ratio)
        return curves.anneal_cos(base_momentum, lowest, now / end)


class LinearAnnealingMomentumUpdaterHook(MomentumUpdaterHook):
    """Falls along a line to `min_momentum`, or to `min_momentum_ratio` times the initial value."""

    def __init__(
        self, min_momentum: float | None = None, min_momentum_ratio: float | None = None, **kwargs: Any
    ) -> None:
        curves.check_target(min_momentum, min_momentum_ratio, "momentum")
        super().__init__(**kwargs)
        self.min_momentum = min_momentum
        self.min_momentum_ratio = min_momentum_ratio

    def get_momentum(self, runner: Any, base_momentum: float) -> float:
        now, end = self.progress(runner)
        lowest = curves.target(base_momentum, self.min_momentum, self.min_momentum_ratio)
        return curves.anneal_linear(base_momentum, lowest, now / end)
