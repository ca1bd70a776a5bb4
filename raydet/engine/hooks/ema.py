"""A moving average of the weights, used for evaluation and saved beside the trained ones."""

from __future__ import annotations

from collections.abc import Callable
from math import exp
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from raydet.engine.hooks.base import Hook
from raydet.engine.parallel import unwrap


class AveragedWeights:
    """The buffers `ema_<name with underscores>` of a model and what is done with them.

    Args:
        model: gets the buffers.
        names: entries of its state dict that are averaged.
        resumed: an earlier state dict to take averages from, if it holds them.
    """

    def __init__(self, model: nn.Module, names: list[str], resumed: dict[str, Tensor] | None = None) -> None:
        state = model.state_dict(keep_vars=True)
        self.pairs: list[tuple[Tensor, Tensor]] = []
        for name in names:
            buffer = f"ema_{name.replace('.', '_')}"
            value = state[name].data
            average = (resumed or {}).get(buffer, value).detach().clone().to(value.device)
            model.register_buffer(buffer, average)
            self.pairs.append((value, average))

    @torch.no_grad()
    def update(self, momentum: float) -> None:
        """Move every average towards its value by `momentum`."""
        for value, average in self.pairs:
            if value.is_floating_point():
                average.mul_(1 - momentum).add_(value, alpha=momentum)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange values and averages."""
        for value, average in self.pairs:
            value_before = value.clone()
            value.copy_(average)
            average.copy_(value_before)


class _EmaPoints:
    """When averages are made, used and put back; shared by the hooks below."""

    continues_stage: ClassVar[bool] = True
    with_buffers: bool
    resume_from: str | None

    def __init__(self) -> None:
        self.weights: AveragedWeights | None = None
        self.swapped = False

    def before_run(self, runner: Any) -> None:
        model = unwrap(runner.model)
        names = list(model.state_dict() if self.with_buffers else dict(model.named_parameters()))
        names = [name for name in names if not name.startswith("ema_")]
        if self.resume_from is not None:
            runner.resume(self.resume_from)
        resumed = getattr(runner, "resumed", None)
        self.weights = AveragedWeights(model, names, resumed["state_dict"] if resumed else None)
        # A 2.x checkpoint holds the averages in the place of the weights: it is made after they were exchanged.
        self.swapped = resumed is not None and "raydet" not in resumed["meta"]

    def before_train_epoch(self, runner: Any) -> None:
        self._put(averages=False)

    def after_train_epoch(self, runner: Any) -> None:
        self._put(averages=True)

    def state_dict(self) -> dict[str, Any]:
        return {"swapped": self.swapped}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.swapped = bool(state["swapped"])

    def _put(self, averages: bool) -> None:
        if self.weights is not None and self.swapped != averages:
            self.weights.swap()
            self.swapped = averages


class EMAHook(_EmaPoints, Hook):
    """Averages the parameters; the momentum grows during a warm-up.

    Args:
        momentum: share of the new value per iteration.
        interval: iterations between updates; the momentum is `momentum ** interval` then.
        warm_up: iterations until the momentum may reach its value.
        resume_from: checkpoint to go on from; not needed when the run itself is resumed.
    """

    with_buffers = False

    def __init__(
        self, momentum: float = 0.0002, interval: int = 1, warm_up: int = 100, resume_from: str | None = None
    ) -> None:
        super().__init__()
        _check(momentum, interval)
        self.momentum = momentum**interval
        self.interval = interval
        self.warm_up = warm_up
        self.resume_from = resume_from

    def after_train_iter(self, runner: Any) -> None:
        momentum = min(self.momentum, (1 + runner.iter) / (self.warm_up + runner.iter))
        if runner.iter % self.interval == 0 and self.weights is not None:
            self.weights.update(momentum)


class BaseEMAHook(_EmaPoints, Hook):
    """Averages parameters and buffers with a momentum that may follow a function of the iteration.

    Args:
        momentum: share of the new value per update.
        interval: iterations between updates.
        skip_buffers: average the parameters only.
        resume_from: checkpoint to go on from; not needed when the run itself is resumed.
        momentum_fun: iteration -> momentum; constant when None.
    """

    def __init__(
        self,
        momentum: float = 0.0002,
        interval: int = 1,
        skip_buffers: bool = False,
        resume_from: str | None = None,
        momentum_fun: Callable[[int], float] | None = None,
    ) -> None:
        super().__init__()
        _check(momentum, interval)
        self.momentum = momentum
        self.interval = interval
        self.skip_buffers = skip_buffers
        self.with_buffers = not skip_buffers
        self.resume_from = resume_from
        self.momentum_fun = momentum_fun

    def get_momentum(self, runner: Any) -> float:
        return self.momentum_fun(runner.iter) if self.momentum_fun else self.momentum

    def after_train_iter(self, runner: Any) -> None:
        if self.every_n_iters(runner, self.interval) and self.weights is not None:
            self.weights.update(self.get_momentum(runner))


class ExpMomentumEMAHook(BaseEMAHook):
    """The momentum falls exponentially from 1 to `momentum` over about `total_iter` iterations."""

    def __init__(self, total_iter: int = 2000, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.total_iter = total_iter
        self.momentum_fun = lambda i: (1 - self.momentum) * exp(-(1 + i) / total_iter) + self.momentum


class LinearMomentumEMAHook(BaseEMAHook):
    """The momentum grows to `momentum` over `warm_up` iterations."""

    def __init__(self, warm_up: int = 100, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.warm_up = warm_up
        self.momentum_fun = lambda i: min(self.momentum**self.interval, (1 + i) / (warm_up + i))


def _check(momentum: float, interval: int) -> None:
    if not isinstance(interval, int) or interval <= 0:
        raise ValueError(f"interval must be a positive int, got {interval!r}")
    if not 0 < momentum < 1:
        raise ValueError(f"momentum must lie in (0, 1), got {momentum!r}")
