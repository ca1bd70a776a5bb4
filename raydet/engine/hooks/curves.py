"""How a quantity moves along a run: pure functions of progress, shared by the schedules of rate and momentum."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import cos, pi

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


def step(base: float, progress: int, steps: int | Sequence[int], gamma: float, floor: float | None) -> float:
    """`base` times `gamma` for every step passed (or every `steps` when that is a number), not below `floor`."""
    passed = progress // steps if isinstance(steps, int) else sum(progress >= s for s in steps)
    value = base * gamma**passed
    return value if floor is None else max(value, floor)


def check_steps(steps: int | Sequence[int]) -> int | Sequence[int]:
    """`steps` of a step schedule: a positive number, or numbers.

    Raises:
        ValueError: a number that is not positive.
        TypeError: something else.
    """
    numbers = [steps] if isinstance(steps, int) else list(steps) if isinstance(steps, (list, tuple)) else [None]
    if not all(isinstance(number, int) for number in numbers):
        raise TypeError(f"step must be an int or a list of int, got {steps!r}")
    if any(number <= 0 for number in numbers if number is not None):
        raise ValueError(f"step must be positive, got {steps!r}")
    return steps


def target(base: float, minimum: float | None, ratio: float | None) -> float:
    """Where an annealing ends: `minimum`, or `base * ratio`."""
    return base * ratio if ratio is not None else float(minimum or 0.0)


def check_target(minimum: float | None, ratio: float | None, name: str) -> None:
    """Raise ValueError unless exactly one of `minimum` and `ratio` is given."""
    if (minimum is None) == (ratio is None):
        raise ValueError(f"give one of min_{name} and min_{name}_ratio, got {minimum!r} and {ratio!r}")


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

    def at(self, base: float, iteration: int, max_iters: int) -> float:
        """The value at an iteration of a run of `max_iters`."""
        length = max_iters // self.times
        peak = int(self.step_ratio_up * length)
        cycle, position = divmod(iteration, length)
        scale = self.gamma**cycle
        top, bottom = (1 - scale + self.ratios[0] * scale), self.ratios[1]
        if position < peak:
            return self.anneal(base, base * top, position / peak)
        return self.anneal(base * top, base * bottom, (position - peak) / (length - peak))


def along_phases(base: float, iteration: int, phases: Sequence[tuple[float, float, float]], anneal: Anneal) -> float:
    """The value on a chain of annealings `(last iteration, ratio at start, ratio at end)`."""
    start = 0.0
    for end, first, last in phases:
        if iteration <= end:
            return anneal(base * first, base * last, (iteration - start) / (end - start))
        start = end
    return base * phases[-1][2]
