"""Schedules of the learning rate."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from raydet.engine.hooks import curves
from raydet.engine.hooks.updater import LrUpdaterHook


class FixedLrUpdaterHook(LrUpdaterHook):
    """The initial learning rate throughout."""

    def get_lr(self, runner: Any, base_lr: float) -> float:
        return base_lr


class StepLrUpdaterHook(LrUpdaterHook):
    """Multiplied by `gamma` at every step.

    Args:
        step: the epochs (or iterations) at which to step, or how many lie between two steps.
        gamma: factor of a step.
        min_lr: the learning rate does not fall below it.
    """

    def __init__(self, step: int | list[int], gamma: float = 0.1, min_lr: float | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.curve = curves.Steps(step, gamma, min_lr)


class ExpLrUpdaterHook(LrUpdaterHook):
    """`base * gamma ** progress`."""

    def __init__(self, gamma: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.gamma = gamma

    def get_lr(self, runner: Any, base_lr: float) -> float:
        return float(base_lr * self.gamma ** self.progress(runner)[0])


class PolyLrUpdaterHook(LrUpdaterHook):
    """Falls to `min_lr` as `(1 - progress) ** power`."""

    def __init__(self, power: float = 1.0, min_lr: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.power = power
        self.min_lr = min_lr

    def get_lr(self, runner: Any, base_lr: float) -> float:
        now, end = self.progress(runner)
        return float((base_lr - self.min_lr) * (1 - now / end) ** self.power + self.min_lr)


class InvLrUpdaterHook(LrUpdaterHook):
    """`base / (1 + gamma * progress) ** power`."""

    def __init__(self, gamma: float, power: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.gamma = gamma
        self.power = power

    def get_lr(self, runner: Any, base_lr: float) -> float:
        return float(base_lr * (1 + self.gamma * self.progress(runner)[0]) ** -self.power)


class CosineAnnealingLrUpdaterHook(LrUpdaterHook):
    """Falls along half a cosine to `min_lr`, or to `min_lr_ratio` times the initial value (arXiv:1608.03983)."""

    def __init__(self, min_lr: float | None = None, min_lr_ratio: float | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.curve = curves.Annealing(curves.anneal_cos, curves.Lowest(min_lr, min_lr_ratio, "lr"))


class FlatCosineAnnealingLrUpdaterHook(LrUpdaterHook):
    """Constant for the first `start_percent` of the run, then along half a cosine."""

    def __init__(
        self,
        start_percent: float = 0.75,
        min_lr: float | None = None,
        min_lr_ratio: float | None = None,
        **kwargs: Any,
    ) -> None:
        if not 0 <= start_percent <= 1:
            raise ValueError(f"start_percent must lie in [0, 1], got {start_percent!r}")
        super().__init__(**kwargs)
        lowest = curves.Lowest(min_lr, min_lr_ratio, "lr")
        self.curve = curves.Annealing(curves.anneal_cos, lowest, flat=start_percent)


class CosineRestartLrUpdaterHook(LrUpdaterHook):
    """Half a cosine per period, each starting again at its weight (arXiv:1608.03983).

    Args:
        periods: lengths of the periods, in epochs or iterations.
        restart_weights: height of each period over the initial learning rate.
        min_lr: where every period ends, or
        min_lr_ratio: the same over the initial learning rate.
    """

    def __init__(
        self,
        periods: Sequence[int],
        restart_weights: Sequence[float] = (1,),
        min_lr: float | None = None,
        min_lr_ratio: float | None = None,
        **kwargs: Any,
    ) -> None:
        if len(periods) != len(restart_weights):
            raise ValueError(f"periods and restart_weights differ in length: {periods!r} and {restart_weights!r}")
        super().__init__(**kwargs)
        self.periods = periods
        self.restart_weights = restart_weights
        self.lowest = curves.Lowest(min_lr, min_lr_ratio, "lr")
        self.ends = list(accumulate(periods))

    def get_lr(self, runner: Any, base_lr: float) -> float:
        now, _ = self.progress(runner)
        index = next((i for i, end in enumerate(self.ends) if now < end), None)
        if index is None:
            raise ValueError(f"the run goes beyond the periods {list(self.periods)!r} of its schedule at {now}")
        start = self.ends[index] - self.periods[index]
        fraction = min((now - start) / self.periods[index], 1)
        return curves.anneal_cos(base_lr, self.lowest.below(base_lr), fraction, self.restart_weights[index])


class LinearAnnealingLrUpdaterHook(LrUpdaterHook):
    """Falls along a line to `min_lr`, or to `min_lr_ratio` times the initial value."""

    def __init__(self, min_lr: float | None = None, min_lr_ratio: float | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.curve = curves.Annealing(curves.anneal_linear, curves.Lowest(min_lr, min_lr_ratio, "lr"))


class YOLOXLrUpdaterHook(LrUpdaterHook):
    """Warm-up along a parabola, half a cosine, and a constant lowest value at the end (arXiv:2107.08430).

    Warm-up and end are counted in iterations also when the schedule advances by epochs, as in 2.x.

    Args:
        num_last_epochs: epochs at the constant value.
        min_lr: the constant value, or
        min_lr_ratio: the same over the initial learning rate.
    """

    def __init__(
        self, num_last_epochs: int, min_lr: float | None = None, min_lr_ratio: float | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if self.warmup not in (None, "exp"):
            raise ValueError(f"the warm-up of this schedule must be 'exp', got {self.warmup!r}")
        self.num_last_epochs = num_last_epochs
        self.lowest = curves.Lowest(min_lr, min_lr_ratio, "lr")

    def warm_up_value(self, base: float, regular: float, iteration: int) -> float:
        return base * self.warmup_ratio * ((iteration + 1) / (self.warmup_iters or 1)) ** 2

    def get_lr(self, runner: Any, base_lr: float) -> float:
        now, end = self.progress(runner)
        last = len(runner.data_loader) * self.num_last_epochs
        lowest = self.lowest.below(base_lr)
        if now + 1 >= end - last:
            return lowest
        warm = self.warmup_iters or 0
        return curves.anneal_cos(base_lr, lowest, (now + 1 - warm) / (end - warm - last))
