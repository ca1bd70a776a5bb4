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
        self.curve = curves.Steps(step, gamma, min_momentum)


class CosineAnnealingMomentumUpdaterHook(MomentumUpdaterHook):
    """Falls along half a cosine to `min_momentum`, or to `min_momentum_ratio` times the initial value."""

    def __init__(
        self, min_momentum: float | None = None, min_momentum_ratio: float | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        lowest = curves.Lowest(min_momentum, min_momentum_ratio, "momentum")
        self.curve = curves.Annealing(curves.anneal_cos, lowest)


class LinearAnnealingMomentumUpdaterHook(MomentumUpdaterHook):
    """Falls along a line to `min_momentum`, or to `min_momentum_ratio` times the initial value."""

    def __init__(
        self, min_momentum: float | None = None, min_momentum_ratio: float | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        lowest = curves.Lowest(min_momentum, min_momentum_ratio, "momentum")
        self.curve = curves.Annealing(curves.anneal_linear, lowest)
