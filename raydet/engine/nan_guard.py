"""What becomes of an iteration whose loss or gradient is not finite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from raydet.engine.finite import NonFiniteLossError
from raydet.engine.parallel import unwrap
from raydet.engine.random import plain_random_state, snapshot_random
from raydet.engine.replay import save_step
from raydet.engine.sharding import local_part

POLICIES = ("stop", "skip")
COUNT = "nonfinite_steps"
"""Under this name `meta["hook_msgs"]` counts the steps that were left out."""


class NanGuard:
    """Ends a run, or leaves a step out, when its loss or gradient is not finite; the config's `nan_guard`.

    Args:
        policy: "stop", or "skip" to leave such steps out.
        limit: how many steps of a run "skip" may leave out.
        dump: write the first such step to `nonfinite_iter_*.pt` in the work dir, for `raydet replay`.
    """

    def __init__(self, policy: str = "stop", limit: int = 10, dump: bool = True) -> None:
        if policy not in POLICIES:
            raise ValueError(f"nan_guard.policy is {policy!r}, expected 'stop' or 'skip'")
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
            raise ValueError(f"nan_guard.limit must be an int of 1 at least, got {limit!r}")
        self.policy = policy
        self.limit = limit
        self.dump = dump
        self._random: dict[str, Any] | None = None

    def begin_step(self) -> None:
        """Remember the random states that the step begins with, as long as a step may have to be dumped."""
        self._random = snapshot_random() if self.dump else None

    def refuse(self, runner: Any, message: str) -> None:
        """Mark the current step as one to leave out.

        Args:
            runner: gets `skips_step`.
            message: what is not finite.

        Raises:
            NonFiniteLossError: the policy is to stop, or too many steps were left out.
        """
        message = f"{message}. {describe_weights(runner.model)}{self._dump(runner)}"
        messages = runner.meta.setdefault("hook_msgs", {})
        count = messages.get(COUNT, 0) + 1
        if self.policy == "stop":
            raise NonFiniteLossError(message)
        if count > self.limit:
            raise NonFiniteLossError(f"{message}. nan_guard.limit={self.limit} steps were left out before")
        messages[COUNT] = count
        runner.skips_step = True
        runner.logger.warning(f"{message}. The step is left out, {count} of at most {self.limit}")

    def _dump(self, runner: Any) -> str:
        if not self.dump or self._random is None or runner.work_dir is None:
            return ""
        path = Path(runner.work_dir, f"nonfinite_iter_{runner.iter + 1}_rank_{runner.rank}.pt")
        save_step(path, runner, plain_random_state(self._random))
        self.dump = False
        return f". `raydet replay {path}` repeats the step"


def first_not_finite(model: nn.Module, of_gradients: bool = False) -> str | None:
    """Name of the first parameter that, or whose gradient, is not finite."""
    for name, parameter in unwrap(model).named_parameters():
        value = parameter.grad if of_gradients else parameter
        if value is not None and not bool(torch.isfinite(local_part(value)).all()):
            return str(name)
    return None


def describe_weights(model: nn.Module) -> str:
    """One sentence on whether the weights themselves are to blame."""
    name = first_not_finite(model)
    return "All parameters are finite" if name is None else f"The first parameter that is not finite is {name}"
