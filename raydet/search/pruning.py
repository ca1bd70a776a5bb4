"""Rules that stop trials early. What a rule knows are the reports, in order, so that replaying them rebuilds it."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable
from typing import Protocol

from raydet.search.records import Decision
from raydet.search.settings import Objective, PruningSettings


class PruningRule(Protocol):
    """Judges every report of every trial once."""

    def judge(self, number: int, step: int, value: float) -> Decision:
        """Whether trial `number`, which had `value` of the first objective after `step` steps, goes on."""


class NoPruning:
    """Every trial runs to its end."""

    def judge(self, number: int, step: int, value: float) -> Decision:
        return Decision(step, None, value, stop=False)


class Asha:
    """Asynchronous successive halving, the stopping kind (arXiv 1810.05934).

    At `min_steps`, `reduction` times as many, and so on, a trial goes on only when it is among the best
    `1 / reduction` of those that have come as far; the first one always goes on.

    Args:
        settings: of the pruning.
        max_steps: of a whole trial.
        sign: 1 when greater is better, -1 when smaller is.
        min_steps: of the first rung; that of the settings when None.
    """

    def __init__(self, settings: PruningSettings, max_steps: int, sign: int, min_steps: int | None = None) -> None:
        self.rungs = rungs(min_steps or settings.min_steps, settings.reduction, max_steps)
        self._reduction = settings.reduction
        self._sign = sign
        self._scores: dict[int, dict[int, float]] = {rung: {} for rung in self.rungs}

    def judge(self, number: int, step: int, value: float) -> Decision:
        """A trial that skipped a rung, as its evaluations are further apart, is judged at the highest it has passed."""
        rung = max((each for each in self.rungs if each <= step), default=None)
        if rung is None or number in self._scores[rung]:
            return Decision(step, None, value, stop=False)
        scores = self._scores[rung]
        scores[number] = score = self._sign * value
        better = sum(other > score for other in scores.values())
        return Decision(step, rung, value, stop=better >= max(1, len(scores) // self._reduction))


def rungs(min_steps: int, reduction: int, max_steps: int) -> list[int]:
    """Steps at which trials are judged, all before the end."""
    steps, step = [], min_steps
    while step < max_steps:
        steps.append(step)
        step *= reduction
    return steps


class Hyperband:
    """Successive halving in brackets that begin at different rungs (arXiv 1603.06560), each of them asynchronous.

    The bracket with the earliest first rung gets the most trials: `reduction` times those of the next one, but for the
    rounding. Trials are dealt out by their numbers.

    Args:
        settings: as for `Asha`, like `max_steps` and `sign`.
        max_steps: see there.
        sign: see there.
    """

    def __init__(self, settings: PruningSettings, max_steps: int, sign: int) -> None:
        starts = [*rungs(settings.min_steps, settings.reduction, max_steps), max_steps]
        self._brackets = [Asha(settings, max_steps, sign, start) for start in starts]
        self._shares = bracket_sizes(len(starts), settings.reduction)
        self._bracket_of: list[int] = []

    def judge(self, number: int, step: int, value: float) -> Decision:
        return self._brackets[self.bracket(number)].judge(number, step, value)

    def bracket(self, number: int) -> int:
        """The bracket that most lacks a trial, counting from the first one."""
        while len(self._bracket_of) <= number:
            filled = [self._bracket_of.count(index) / share for index, share in enumerate(self._shares)]
            self._bracket_of.append(filled.index(min(filled)))
        return self._bracket_of[number]


def bracket_sizes(num_brackets: int, reduction: int) -> list[int]:
    """Trials of each bracket in one round of Hyperband, the one with the earliest rung first."""
    last = num_brackets - 1
    return [-(-num_brackets * reduction ** (last - index) // (last - index + 1)) for index in range(num_brackets)]


class MedianStopping:
    """Stops a trial whose best value so far is worse than the median of the others' means up to the same step.

    Args:
        settings: as for `Asha`; its option `min_trials` says how many others there must be (3).
        sign: see there.
    """

    def __init__(self, settings: PruningSettings, sign: int) -> None:
        self._min_steps = settings.min_steps
        self._min_trials = int(settings.options.get("min_trials", 3))
        self._sign = sign
        self._scores: dict[int, list[tuple[int, float]]] = defaultdict(list)

    def judge(self, number: int, step: int, value: float) -> Decision:
        self._scores[number].append((step, self._sign * value))
        others = [self._mean(other, step) for other in self._scores if other != number and self._reached(other, step)]
        if step < self._min_steps or len(others) < self._min_trials:
            return Decision(step, None, value, stop=False)
        best = max(score for _, score in self._scores[number])
        return Decision(step, step, value, stop=best < statistics.median(others))

    def _reached(self, number: int, step: int) -> bool:
        return self._scores[number][-1][0] >= step

    def _mean(self, number: int, step: int) -> float:
        return statistics.fmean(score for at, score in self._scores[number] if at <= step)


def make_rule(settings: PruningSettings, objective: Objective, max_steps: int) -> PruningRule:
    """The rule of a sweep; trials of a population are not stopped by one.

    Args:
        settings: of the pruning.
        objective: the first one, by which trials are compared.
        max_steps: of a whole trial.
    """
    sign = 1 if objective.mode == "max" else -1
    rules: dict[str, Callable[[], PruningRule]] = {
        "asha": lambda: Asha(settings, max_steps, sign),
        "hyperband": lambda: Hyperband(settings, max_steps, sign),
        "median": lambda: MedianStopping(settings, sign),
    }
    return rules.get(settings.scheduler, NoPruning)()
