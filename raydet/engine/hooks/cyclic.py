"""Schedules that rise and fall: cycles, and the one-cycle policy (arXiv:1708.07120)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from raydet.engine.hooks import curves
from raydet.engine.hooks.updater import LrUpdaterHook, MomentumUpdaterHook, _optimizers


def _by_iteration(by_epoch: bool, hook: Any) -> None:
    if by_epoch:
        raise ValueError(f"{type(hook).__name__} advances by iterations: by_epoch must be False")


class CyclicLrUpdaterHook(LrUpdaterHook):
    """Cycles of the learning rate; see `Cycles` for the arguments."""

    def __init__(
        self,
        by_epoch: bool = False,
        target_ratio: float | Sequence[float] = (10, 1e-4),
        cyclic_times: int = 1,
        step_ratio_up: float = 0.4,
        anneal_strategy: str = "cos",
        gamma: float = 1,
        **kwargs: Any,
    ) -> None:
        _by_iteration(by_epoch, self)
        super().__init__(by_epoch=False, **kwargs)
        self.curve = curves.Cycles(target_ratio, cyclic_times, step_ratio_up, anneal_strategy, gamma)


class CyclicMomentumUpdaterHook(MomentumUpdaterHook):
    """Cycles of the momentum; see `Cycles` for the arguments."""

    def __init__(
        self,
        by_epoch: bool = False,
        target_ratio: float | Sequence[float] = (0.85 / 0.95, 1.0),
        cyclic_times: int = 1,
        step_ratio_up: float = 0.4,
        anneal_strategy: str = "cos",
        gamma: float = 1.0,
        **kwargs: Any,
    ) -> None:
        _by_iteration(by_epoch, self)
        super().__init__(by_epoch=False, **kwargs)
        self.curve = curves.Cycles(target_ratio, cyclic_times, step_ratio_up, anneal_strategy, gamma)


class OneCycleLrUpdaterHook(LrUpdaterHook):
    """One cycle: up to `max_lr`, then far below the start.

    Args:
        max_lr: the peak, one number, one per parameter group, or a dict by optimiser.
        total_steps: length of the cycle; the length of the run when None.
        pct_start: share of the cycle that rises.
        anneal_strategy: "cos" or "linear".
        div_factor: peak over start.
        final_div_factor: start over end.
        three_phase: fall back to the start before the final fall.
    """

    def __init__(
        self,
        max_lr: float | Sequence[float] | dict[str, Any],
        total_steps: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        div_factor: float = 25,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("by_epoch", False)
        _by_iteration(kwargs["by_epoch"], self)
        super().__init__(**kwargs)
        self.max_lr = max_lr
        self.total_steps = total_steps
        self.div_factor = div_factor
        self.final_div_factor = final_div_factor
        self.cycle = curves.OneCycle(pct_start, anneal_strategy, three_phase)

    def before_run(self, runner: Any) -> None:
        if self.total_steps is not None and self.total_steps < runner.max_iters:
            raise ValueError(f"total_steps is {self.total_steps}, less than the {runner.max_iters} steps of the run")
        for name, optimizer in _optimizers(runner.optimizer).items():
            peaks = self.max_lr[name] if isinstance(self.max_lr, dict) else self.max_lr
            groups = optimizer.param_groups
            for group, peak in zip(groups, _spread(peaks, len(groups)), strict=True):
                group.setdefault("initial_lr", peak / self.div_factor)
        super().before_run(runner)

    def get_lr(self, runner: Any, base_lr: float) -> float:
        total = self.total_steps or runner.max_iters
        return self.cycle.at(base_lr, runner.iter, total, peak=self.div_factor, last=1 / self.final_div_factor)


class OneCycleMomentumUpdaterHook(MomentumUpdaterHook):
    """The momentum that belongs to the one-cycle policy: low while the learning rate is high.

    Args:
        base_momentum: the lowest value, one number, one per parameter group, or a dict by optimiser.
        max_momentum: the highest.
        pct_start: share of the cycle in which momentum falls.
        anneal_strategy: "cos" or "linear".
        three_phase: rise back before a final constant phase.
    """

    def __init__(
        self,
        base_momentum: float | Sequence[float] | dict[str, Any] = 0.85,
        max_momentum: float | Sequence[float] | dict[str, Any] = 0.95,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        three_phase: bool = False,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("by_epoch", False)
        _by_iteration(kwargs["by_epoch"], self)
        super().__init__(**kwargs)
        self.base_momentum = base_momentum
        self.max_momentum = max_momentum
        self.cycle = curves.OneCycle(pct_start, anneal_strategy, three_phase)
        self._lowest: dict[float, float] = {}

    def before_run(self, runner: Any) -> None:
        for name, optimizer in _optimizers(runner.optimizer).items():
            groups = optimizer.param_groups
            if not any("momentum" in group or "betas" in group for group in groups):
                raise ValueError(f"{type(optimizer).__name__} has no momentum that could be scheduled")
            low, high = (v[name] if isinstance(v, dict) else v for v in (self.base_momentum, self.max_momentum))
            each = zip(groups, _spread(low, len(groups)), _spread(high, len(groups)), strict=True)
            for group, lowest, highest in each:
                group["initial_momentum"] = highest
                self._lowest[highest] = lowest
                self.write(group, highest)
        super().before_run(runner)

    def get_momentum(self, runner: Any, base_momentum: float) -> float:
        low = self._lowest[base_momentum] / base_momentum
        return self.cycle.at(base_momentum, runner.iter, runner.max_iters, peak=low, last=1.0)


def _spread(value: Any, count: int) -> Sequence[float]:
    values = [float(value)] * count if isinstance(value, (int, float)) else list(value)
    if len(values) != count:
        raise ValueError(f"expected one value or one for each of {count} parameter groups, got {value!r}")
    return values
