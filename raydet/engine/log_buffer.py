"""Numbers of the last iterations, averaged when they are logged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


class LogBuffer:
    """Values per name with their weights; `output` holds what the loggers will write.

    Attributes:
        val_history: values since the last `clear`, by name.
        n_history: their weights (numbers of samples).
        output: averaged values, ready to be logged.
        ready: whether `output` waits for a logger.
    """

    def __init__(self) -> None:
        self.val_history: dict[str, list[float]] = {}
        self.n_history: dict[str, list[int]] = {}
        self.output: dict[str, Any] = {}
        self.ready = False

    def clear(self) -> None:
        """Forget everything."""
        self.val_history.clear()
        self.n_history.clear()
        self.clear_output()

    def trim(self, limit: int) -> None:
        """Keep the last `limit` values of every name that has twice as many, so that long runs do not grow."""
        for key, history in self.val_history.items():
            if len(history) >= 2 * limit:
                del history[:-limit], self.n_history[key][:-limit]

    def clear_output(self) -> None:
        """Forget what was to be logged; keep the history."""
        self.output.clear()
        self.ready = False

    def update(self, vars: Mapping[str, Any], count: int = 1) -> None:
        """Add one value per name, weighted by `count`."""
        if not isinstance(vars, Mapping):
            raise TypeError(f"expected a mapping of names to numbers, got {type(vars).__name__}")
        for key, value in vars.items():
            self.val_history.setdefault(key, []).append(value)
            self.n_history.setdefault(key, []).append(count)

    def average(self, n: int = 0) -> None:
        """Put the weighted means of the last `n` values (all of them when 0) into `output`."""
        if n < 0:
            raise ValueError(f"n must not be negative, got {n}")
        for key, history in self.val_history.items():
            values, weights = np.array(history[-n:]), np.array(self.n_history[key][-n:])
            self.output[key] = float(np.sum(values * weights) / np.sum(weights))
        self.ready = True

    def state_dict(self) -> dict[str, Any]:
        """History and output as plain data."""
        return {
            "val_history": {k: [float(v) for v in values] for k, values in self.val_history.items()},
            "n_history": {k: [int(n) for n in counts] for k, counts in self.n_history.items()},
            "output": {k: v for k, v in self.output.items() if isinstance(v, (bool, int, float, str))},
            "ready": self.ready,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self.val_history = {k: list(v) for k, v in state["val_history"].items()}
        self.n_history = {k: list(v) for k, v in state["n_history"].items()}
        self.output = dict(state["output"])
        self.ready = bool(state["ready"])
