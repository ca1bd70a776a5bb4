"""All points of a discrete space, found by drawing from it in every way there is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from raydet.search.tree import SweepError

MAX_POINTS = 100_000


@dataclass
class _Walk:
    """Stands for a trial: makes the decisions it is told to, and the first possible ones after these."""

    decisions: list[int]
    sizes: list[int] = field(default_factory=list)
    params: dict[str, Any] = field(default_factory=dict)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        if len(self.sizes) == len(self.decisions):
            self.decisions.append(0)
        chosen = choices[self.decisions[len(self.sizes)]]
        self.sizes.append(len(choices))
        self.params[name] = chosen
        return chosen

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> Any:
        if log:
            raise SweepError(f"{name} has no grid: `log` ranges are drawn from; list its values in a `choice`")
        return self.suggest_categorical(name, range(low, high + 1, step))

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False) -> Any:
        if step is None or log:
            raise SweepError(
                f"{name} has no grid: it is a real number; give it a `step`, or list its values in a `choice`"
            )
        values: list[float] = (low + step * np.arange(int((high - low) / step + 1e-9) + 1)).tolist()
        return self.suggest_categorical(name, values)


def all_points(draw: Callable[[Any], Any]) -> list[dict[str, Any]]:
    """What can be drawn, as parameters by name.

    Args:
        draw: draws one point from what it takes for a trial.

    Raises:
        SweepError: a parameter is not discrete, or there are more than 100,000 points.
    """
    points: list[dict[str, Any]] = []
    decisions: list[int] = []
    while True:
        walk = _Walk(decisions)
        draw(walk)
        points.append(walk.params)
        if len(points) > MAX_POINTS:
            raise SweepError(f"the grid has more than {MAX_POINTS} points; use another sampler or larger steps")
        while decisions and decisions[-1] + 1 == walk.sizes[len(decisions) - 1]:
            decisions.pop()
        if not decisions:
            return points
        decisions[-1] += 1
