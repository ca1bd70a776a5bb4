"""The common part of the hooks that move a number of every parameter group along the run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from raydet.engine.hooks.base import Hook
from raydet.engine.hooks.curves import Curve

Values = list[float] | dict[str, list[float]]
WARM_UPS = ("constant", "linear", "exp")


class ValueUpdater:
    """Sets a number of every parameter group from (epoch, iteration), with an optional warm-up.

    `runner.optimizer` may be one optimiser or a dict of them; then the values are dicts with its keys. The value of
    a moment depends on the position alone, so that a resumed run needs no state.

    Args:
        by_epoch: the schedule advances by epochs, else by iterations.
        warmup: None, "constant", "linear" or "exp".
        warmup_iters: length of the warm-up in iterations, or in epochs with `warmup_by_epoch`.
        warmup_ratio: value at the start of the warm-up over the regular value.
        warmup_by_epoch: see `warmup_iters`.
    """

    quantity: ClassVar[str]
    curve: Curve | None = None
    """The schedule, where progress alone says all of it."""

    def __init__(
        self,
        by_epoch: bool = True,
        warmup: str | None = None,
        warmup_iters: int = 0,
        warmup_ratio: float = 0.1,
        warmup_by_epoch: bool = False,
    ) -> None:
        if warmup is not None:
            if warmup not in WARM_UPS:
                raise ValueError(f"warmup is {warmup!r}, expected None or one of {', '.join(map(repr, WARM_UPS))}")
            if warmup_iters <= 0:
                raise ValueError(f"warmup_iters must be positive with warmup={warmup!r}, got {warmup_iters!r}")
            if not 0 < warmup_ratio <= 1:
                raise ValueError(f"warmup_ratio must lie in (0, 1], got {warmup_ratio!r}")
        self.by_epoch = by_epoch
        self.warmup = warmup
        self.warmup_iters: int | None = None if warmup_by_epoch else warmup_iters
        self.warmup_epochs: int | None = warmup_iters if warmup_by_epoch else None
        self.warmup_ratio = warmup_ratio
        self.warmup_by_epoch = warmup_by_epoch
        self.base_values: Values = []

    def value_at(self, runner: Any, base: float) -> float:
        """The regular value now of a group whose initial value is `base`."""
        if self.curve is None:
            raise NotImplementedError(f"{type(self).__name__} does not say how the {self.quantity} moves")
        return self.curve.at(base, *self.progress(runner))

    def read(self, group: dict[str, Any]) -> float:
        """The quantity of one parameter group."""
        raise NotImplementedError

    def write(self, group: dict[str, Any], value: float) -> None:
        """Set the quantity of one parameter group."""
        raise NotImplementedError

    def warm_up_value(self, base: float, regular: float, iteration: int) -> float:
        """The value at an iteration of the warm-up of a group with this initial and regular value."""
        return regular * self.warm_up_factor(iteration)

    def warm_up_factor(self, iteration: int) -> float:
        """Share of the regular value at an iteration of the warm-up, in (0, 1]."""
        left = 1 - iteration / (self.warmup_iters or 1)
        if self.warmup == "constant":
            return self.warmup_ratio
        if self.warmup == "linear":
            return 1 - left * (1 - self.warmup_ratio)
        return float(self.warmup_ratio**left)

    def progress(self, runner: Any) -> tuple[int, int]:
        """Where the run is and where it ends, in epochs or iterations."""
        return (runner.epoch, runner.max_epochs) if self.by_epoch else (runner.iter, runner.max_iters)

    def before_run(self, runner: Any) -> None:
        key = f"initial_{self.quantity}"
        for optimizer in _optimizers(runner.optimizer).values():
            for group in optimizer.param_groups:
                group.setdefault(key, self.read(group))
        self.base_values = _per_group(runner.optimizer, lambda group: float(group[key]))

    def before_train_epoch(self, runner: Any) -> None:
        if self.warmup_epochs is not None:
            self.warmup_iters = self.warmup_epochs * len(runner.data_loader)
        if self.by_epoch:
            self._set(runner, self._regular(runner))

    def before_train_iter(self, runner: Any) -> None:
        iteration, length = runner.iter, self.warmup_iters or 0
        warming = self.warmup is not None and iteration < length
        # A schedule by epochs was set when the epoch began; only a warm-up within the epoch needs work here.
        if not self.by_epoch or warming or (self.warmup is not None and iteration == length):
            self._set(runner, self._warmed(runner) if warming else self._regular(runner))

    def _regular(self, runner: Any) -> Values:
        return _map(self.base_values, lambda base: self.value_at(runner, base))

    def _warmed(self, runner: Any) -> Values:
        return _map(self.base_values, lambda base: self.warm_up_value(base, self.value_at(runner, base), runner.iter))

    def _set(self, runner: Any, values: Values) -> None:
        for name, optimizer in _optimizers(runner.optimizer).items():
            chosen = values[name] if isinstance(values, dict) else values
            for group, value in zip(optimizer.param_groups, chosen, strict=True):
                self.write(group, value)


def _optimizers(optimizer: Any) -> dict[str, Any]:
    return optimizer if isinstance(optimizer, dict) else {"": optimizer}


def _per_group(optimizer: Any, read: Callable[[dict[str, Any]], float]) -> Values:
    values = {name: [read(group) for group in each.param_groups] for name, each in _optimizers(optimizer).items()}
    return values if isinstance(optimizer, dict) else values[""]


def _map(values: Values, function: Callable[[float], float]) -> Values:
    if isinstance(values, dict):
        return {name: [function(v) for v in each] for name, each in values.items()}
    return [function(v) for v in values]


class LrUpdaterHook(ValueUpdater, Hook):
    """Base of the learning rate schedules; set `curve`, or override `get_lr`."""

    quantity = "lr"

    def get_lr(self, runner: Any, base_lr: float) -> float:
        """The learning rate now of a group whose initial one is `base_lr`."""
        return super().value_at(runner, base_lr)

    def value_at(self, runner: Any, base: float) -> float:
        return self.get_lr(runner, base)

    def read(self, group: dict[str, Any]) -> float:
        return float(group["lr"])

    def write(self, group: dict[str, Any], value: float) -> None:
        group["lr"] = value


class MomentumUpdaterHook(ValueUpdater, Hook):
    """Base of the momentum schedules; set `curve`, or override `get_momentum`.

    The momentum of Adam-like optimisers is `betas[0]`. The warm-up divides: momentum starts above its regular value
    while the learning rate starts below.
    """

    quantity = "momentum"

    def get_momentum(self, runner: Any, base_momentum: float) -> float:
        """The momentum now of a group whose initial one is `base_momentum`."""
        return super().value_at(runner, base_momentum)

    def value_at(self, runner: Any, base: float) -> float:
        return self.get_momentum(runner, base)

    def read(self, group: dict[str, Any]) -> float:
        return read_momentum(group)

    def write(self, group: dict[str, Any], value: float) -> None:
        if "momentum" in group:
            group["momentum"] = value
        elif "betas" in group:
            group["betas"] = (value, *group["betas"][1:])

    def warm_up_value(self, base: float, regular: float, iteration: int) -> float:
        return regular / self.warm_up_factor(iteration)


def read_momentum(group: dict[str, Any]) -> float:
    """The momentum of a parameter group, 0 where the optimiser has none."""
    if "momentum" in group:
        return float(group["momentum"])
    return float(group["betas"][0]) if "betas" in group else 0.0
