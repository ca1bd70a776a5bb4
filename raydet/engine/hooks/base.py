"""What a hook is: ten points of a run at which it may act, and the order among hooks."""

from __future__ import annotations

from enum import Enum
from typing import Any, ClassVar

STAGES = (
    "before_run",
    "before_train_epoch",
    "before_train_iter",
    "after_train_iter",
    "after_train_epoch",
    "before_val_epoch",
    "before_val_iter",
    "after_val_iter",
    "after_val_epoch",
    "after_run",
)


class Priority(Enum):
    """Named priorities of hooks; a smaller number acts earlier."""

    HIGHEST = 0
    VERY_HIGH = 10
    HIGH = 30
    ABOVE_NORMAL = 40
    NORMAL = 50
    BELOW_NORMAL = 60
    LOW = 70
    VERY_LOW = 90
    LOWEST = 100


def get_priority(priority: int | str | Priority) -> int:
    """The number in [0, 100] of a priority given by number, name or member.

    Raises:
        ValueError: a number outside [0, 100] or an unknown name.
        TypeError: something else.
    """
    if isinstance(priority, Priority):
        return int(priority.value)
    if isinstance(priority, str):
        if priority.upper() not in Priority.__members__:
            raise ValueError(f"no priority is named {priority!r}; expected one of {', '.join(Priority.__members__)}")
        return int(Priority[priority.upper()].value)
    if isinstance(priority, bool) or not isinstance(priority, int):
        raise TypeError(f"a priority is a number, a name or a Priority, got {priority!r}")
    if not 0 <= priority <= 100:
        raise ValueError(f"a priority lies between 0 and 100, got {priority}")
    return priority


class Hook:
    """Base of all hooks, with the interface of 2.x.

    Override the points that matter. `before_epoch`, `after_epoch`, `before_iter` and `after_iter` serve training and
    validation alike unless the specific method is overridden.

    What a hook must remember across an interruption goes through `state_dict` and `load_state_dict`; a checkpoint
    holds only plain data and tensors.
    """

    stages: ClassVar[tuple[str, ...]] = STAGES
    priority: Any = "NORMAL"
    continues_stage: ClassVar[bool] = False
    """Whether a resumed run makes up for this hook's part of a stage in the middle of which the checkpoint was made."""

    def before_run(self, runner: Any) -> None:
        pass

    def after_run(self, runner: Any) -> None:
        pass

    def before_epoch(self, runner: Any) -> None:
        pass

    def after_epoch(self, runner: Any) -> None:
        pass

    def before_iter(self, runner: Any) -> None:
        pass

    def after_iter(self, runner: Any) -> None:
        pass

    def before_train_epoch(self, runner: Any) -> None:
        self.before_epoch(runner)

    def before_val_epoch(self, runner: Any) -> None:
        self.before_epoch(runner)

    def after_train_epoch(self, runner: Any) -> None:
        self.after_epoch(runner)

    def after_val_epoch(self, runner: Any) -> None:
        self.after_epoch(runner)

    def before_train_iter(self, runner: Any) -> None:
        self.before_iter(runner)

    def before_val_iter(self, runner: Any) -> None:
        self.before_iter(runner)

    def after_train_iter(self, runner: Any) -> None:
        self.after_iter(runner)

    def after_val_iter(self, runner: Any) -> None:
        self.after_iter(runner)

    def state_dict(self) -> dict[str, Any]:
        """Plain data and tensors that this hook needs to go on exactly."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave."""

    def every_n_epochs(self, runner: Any, n: int) -> bool:
        return n > 0 and (runner.epoch + 1) % n == 0

    def every_n_inner_iters(self, runner: Any, n: int) -> bool:
        return n > 0 and (runner.inner_iter + 1) % n == 0

    def every_n_iters(self, runner: Any, n: int) -> bool:
        return n > 0 and (runner.iter + 1) % n == 0

    def end_of_epoch(self, runner: Any) -> bool:
        return bool(runner.inner_iter + 1 == len(runner.data_loader))

    def is_first_epoch(self, runner: Any) -> bool:
        return bool(runner.epoch == 0)

    def is_first_iter(self, runner: Any) -> bool:
        return bool(runner.iter == 0)

    def is_last_epoch(self, runner: Any) -> bool:
        return bool(runner.epoch + 1 == runner._max_epochs)

    def is_last_iter(self, runner: Any) -> bool:
        return bool(runner.iter + 1 == runner._max_iters)

    def get_triggered_stages(self) -> list[str]:
        """The stages at which this hook does something, in the order of a run."""
        shared = {
            "before_epoch": ("before_train_epoch", "before_val_epoch"),
            "after_epoch": ("after_train_epoch", "after_val_epoch"),
            "before_iter": ("before_train_iter", "before_val_iter"),
            "after_iter": ("after_train_iter", "after_val_iter"),
        }
        found = {stage for stage in STAGES if self._overrides(stage)}
        found.update(stage for name, stages in shared.items() if self._overrides(name) for stage in stages)
        return [stage for stage in STAGES if stage in found]

    def _overrides(self, method: str) -> bool:
        return getattr(type(self), method) is not getattr(Hook, method)
