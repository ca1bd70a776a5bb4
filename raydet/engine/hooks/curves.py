"""How a quantity moves along a run: functions of progress alone, shared by the schedules of rate and momentum."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import cos, pi
from typing import Protocol

Anneal = Callable[[float, float, float], float]


def anneal_cos(start: float, end: float, fraction: float, weight: float = 1.0) -> float:
    """From `start` (fraction 0) to `end` (fraction 1) along half a cosine."""
    return end + 0.5 * weight * (start - end) * (cos(pi * fraction) + 1)


def anneal_linear(start: float, end: float, fraction: float) -> float:
    """From `start` (fraction 0) to `end` (fraction 1) along a line."""
    return start + (end - start) * fraction


def anneal_function(strategy: str) -> Anneal:
    """The function of an `anneal_strategy`.

    Raises:
        ValueError: neither "cos" nor "linear".
    """
    functions: dict[str, Anneal] = {"cos": anneal_cos, "linear": anneal_linear}
    if strategy not in functions:
        raise ValueError(f"anneal_strategy is {strategy!r}, expected 'cos' or 'linear'")
    return functions[strategy]


class Curve(Protocol):
    """How a quantity moves along a run."""

    def at(self, base: float, now: int, end: int) -> float:
        """The value after `now` of `end` epochs or iterations, of a quantity that begins at `base`."""


@dataclass(frozen=True)
class Steps:
    """Multiplied by `gamma` at every step, not below `floor`.

    Args:
        step: when to step, or how much lies between two steps.
        gamma: factor of a step.
        floor: lowest value, if there is one.

    Raises:
        ValueError: a step that is not positive.
        TypeError: `step` is neither an int nor a list of int.
    """

    step: int | Sequence[int]
    gamma: float
    floor: float | None

    def __post_init__(self) -> None:
        numbers = [self.step] if isinstance(self.step, int) else self.step
        if not isinstance(numbers, (list, tuple)) or not all(isinstance(number, int) for number in numbers):
            raise TypeError(f"step must be an int or a list of int, got {self.step!r}")
        if any(number <= 0 for number in numbers):
            raise ValueError(f"step must be positive, got {self.step!r}")

    def at(self, base: float, now: int, end: int) -> float:
        """The value now."""
        passed = now // self.step if isinstance(self.step, int) else sum(now >= step for step in self.step)
        value = base * self.gamma**passed
        return value if self.floor is None else max(value, self.floor)


@dataclass(frozen=True)
class Lowest:
    """Where an annealing ends: at `minimum`, or at `ratio` times the initial value.

    Raises:
        ValueError: not exactly one of the two is given; `quantity` is the name in the message.
    """

    minimum: float | None
    ratio: float | None
    quantity: str

    def __post_init__(self) -> None:
        if (self.minimum is None) == (self.ratio is None):
            names = f"min_{self.quantity} and min_{self.quantity}_ratio"
            raise ValueError(f"give one of {names}, got {self.minimum!r} and {self.ratio!r}")

    def below(self, base: float) -> float:
        """The lowest value of a quantity that begins at `base`."""
        return base * self.ratio if self.ratio is not None else float(self.minimum or 0.0)


@dataclass(frozen=True)
class Annealing:
    """Constant for a part of the run, then down to the lowest value.

    Args:
        anneal: along which function.
        lowest: where it ends.
        flat: the constant part of the run, in [0, 1].
    """

    anneal: Anneal
    lowest: Lowest
    flat: float = 0.0

    def at(self, base: float, now: int, end: int) -> float:
        """The value now."""
        start = round(end * self.flat)
        if now < start:
            return base
        return self.anneal(base, self.lowest.below(base), (now - start) / max(end - start, 1))


class Cycles:
    """A number of cycles over a run, each rising and then falling.

    Args:
        target_ratio: highest and lowest value over the base.
        cyclic_times: cycles in a run.
        step_ratio_up: share of a cycle that rises, in [0, 1).
        anneal_strategy: "cos" or "linear".
        gamma: how the height of the cycles shrinks from one to the next.
    """

    def __init__(
        self,
        target_ratio: float | Sequence[float],
        cyclic_times: int,
        step_ratio_up: float,
        anneal_strategy: str,
        gamma: float,
    ) -> None:
        ratios = (target_ratio,) if isinstance(target_ratio, (int, float)) else tuple(target_ratio)
        if len(ratios) == 1:
            ratios = (ratios[0], ratios[0] / 1e5)
        if len(ratios) != 2:
            raise ValueError(f"target_ratio must be a number or two, got {target_ratio!r}")
        if not 0 <= step_ratio_up < 1:
            raise ValueError(f"step_ratio_up must lie in [0, 1), got {step_ratio_up!r}")
        self.ratios = ratios
        self.times = cyclic_times
        self.step_ratio_up = step_ratio_up
        self.gamma = gamma
        self.anneal = anneal_function(anneal_strategy)

    def at(self, base: float, now: int, end: int) -> float:
        """The value after `now` of `end` iterations."""
        length = end // self.times
        peak = int(self.step_ratio_up * length)
        cycle, position = divmod(now, length)
        scale = self.gamma**cycle
        top, bottom = (1 - scale + self.ratios[0] * scale), self.ratios[1]
        if position < peak:
            return self.anneal(base, base * top, position / peak)
        return self.anneal(base * top, base * bottom, (position - peak) / (length - peak))


class OneCycle:
    """One cycle: to a peak, back to the start, and on to the end.

    Args:
        pct_start: share of the cycle before the peak, in [0, 1].
        anneal_strategy: "cos" or "linear".
        three_phase: come back as slowly as to the peak; else the way from the peak to the end is one.
    """

    def __init__(self, pct_start: float, anneal_strategy: str, three_phase: bool) -> None:
        if not 0 <= pct_start <= 1:
            raise ValueError(f"pct_start must lie in [0, 1], got {pct_start!r}")
        self.pct_start = pct_start
        self.three_phase = three_phase
        self.anneal = anneal_function(anneal_strategy)

    def at(self, base: float, iteration: int, total: int, peak: float, last: float) -> float:
        """The value at an iteration of a cycle of `total`, where `peak` and `last` are ratios to `base`."""
        rise = self.pct_start * total - 1
        phases = [(rise, 1.0, peak), (total - 1, peak, last)]
        if self.three_phase:
            phases[1:] = [(2 * self.pct_start * total - 2, peak, 1.0), (total - 1, 1.0, last)]
        start = 0.0
        for end, first, then in phases:
            if iteration <= end:
                return self.anneal(base * first, base * then, (iteration - start) / (end - start))
            start = end
        return base * last
