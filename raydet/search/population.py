"""Population based training (arXiv 1711.09846): at meetings, bad trials take over the weights of good ones.

All members come to each meeting, so that what happens there depends on their results alone, not on who is faster, and
one machine can train a population of any size.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raydet.search.drawing import Drawer
from raydet.search.ledger import Moved
from raydet.search.records import TrialRecord
from raydet.search.report.ranking import steps_of
from raydet.search.samplers import draw_seed
from raydet.search.settings import Objective, PruningSettings
from raydet.search.space import Rejected

_OPTIONS = {"quantile", "resample", "keys", "factors", "every"}


@dataclass(frozen=True)
class PopulationSettings:
    """Options of `pruning` with the scheduler `pbt`.

    Args:
        quantile: part of the population that takes over, and part that is taken over from, in (0, 0.5].
        resample: probability that a parameter is drawn anew instead of being multiplied by one of the factors.
        keys: parameters that change; None for all numbers. A choice changes only when it is named here.
        factors: that numbers are multiplied by.
        every: epochs or iterations between meetings; those between evaluations when None.
    """

    quantile: float = 0.25
    resample: float = 0.25
    keys: Sequence[str] | None = None
    factors: Sequence[float] = (0.8, 1.2)
    every: int | None = None

    @staticmethod
    def read(options: Mapping[str, Any]) -> PopulationSettings:
        """Of `pruning.options`; ValueError when they are impossible."""
        unknown = sorted(set(options) - _OPTIONS)
        if unknown:
            raise ValueError(f"pruning.options has {unknown}, which pbt does not know; it has {sorted(_OPTIONS)}")
        settings = PopulationSettings(**options)
        if not 0 < settings.quantile <= 0.5:
            raise ValueError(f"pruning.options.quantile is {settings.quantile}, expected a part in (0, 0.5]")
        return settings


class Population:
    """The members of a sweep with the scheduler `pbt`.

    Args:
        settings: of the pruning.
        objective: by which members are compared.
        max_steps: of a whole trial.
        seed: of the sweep.
        drawer: turns parameters into options.
    """

    def __init__(
        self, settings: PruningSettings, objective: Objective, max_steps: int, seed: int, drawer: Drawer
    ) -> None:
        self._settings = PopulationSettings.read(settings.options)
        self._every = self._settings.every or settings.interval
        if self._every % settings.interval:
            raise ValueError(
                f"pruning.options.every is {self._every}, expected a multiple of pruning.interval, {settings.interval}"
            )
        self._sign = 1 if objective.mode == "max" else -1
        self._max_steps = max_steps
        self._seed = seed
        self._drawer = drawer
        self._moved: set[tuple[int, int]] = set()

    def moved(self, event: Moved) -> None:
        """A member has moved."""
        self._moved.add((event.number, event.step))

    def is_meeting(self, step: int) -> bool:
        """Whether members wait for the others after `step`."""
        return 0 < step < self._max_steps and step % self._every == 0

    def is_held(self, step: int, records: Mapping[int, TrialRecord]) -> bool:
        """Whether all members have come to `step`, but for those that ended before."""
        members = [record for record in records.values() if record.state != "rejected"]
        return all(steps_of(member) >= step or member.ended is not None for member in members)

    def meet(self, records: Mapping[int, TrialRecord]) -> list[Moved]:
        """Moves of the last meeting that is held, but for those that have been made."""
        steps = range(self._every, self._max_steps, self._every)
        held = max((step for step in steps if self.is_held(step, records)), default=None)
        if held is None:
            return []
        moves = (self._move(held, *pair) for pair in self._pairs(held, records))
        return [move for move in moves if move is not None]

    def _pairs(self, step: int, records: Mapping[int, TrialRecord]) -> list[tuple[TrialRecord, TrialRecord]]:
        """Those who move, each with its donor."""
        scores = {
            record.number: self._sign * decision.value
            for record in records.values()
            for decision in record.decisions
            if decision.step == step
        }
        order = sorted(scores, key=lambda number: (-scores[number], number))
        count = min(max(1, round(len(order) * self._settings.quantile)), len(order) // 2)
        best, worst = order[:count], order[len(order) - count :]
        draws = self._random(step, -1)
        return [(records[number], records[draws.choice(best)]) for number in worst if best]

    def _move(self, step: int, member: TrialRecord, donor: TrialRecord) -> Moved | None:
        if (member.number, step) in self._moved or member.ended is not None or steps_of(member) != step:
            return None
        params = self._changed(donor, self._random(step, member.number))
        try:
            options = self._drawer.options_of(params)
        except (Rejected, ValueError):  # of a choice that asks for other parameters, or against a constraint
            params, options = donor.params, donor.options
        home = member.folder.partition("/moved_")[0]
        return Moved(
            member.number, time.time(), step, donor.number, params, options, f"{home}/moved_{step}", donor.folder
        )

    def _changed(self, donor: TrialRecord, draws: random.Random) -> dict[str, Any]:
        distributions = self._drawer.study.distributions(donor.number)
        return {name: self._change(name, value, distributions[name], draws) for name, value in donor.params.items()}

    def _change(self, name: str, value: Any, distribution: Any, draws: random.Random) -> Any:
        choices = getattr(distribution, "choices", None)
        keys = self._settings.keys
        if name not in keys if keys is not None else choices is not None:
            return value
        if choices is not None:
            return draws.choice(choices)
        return change_number(value, distribution, draws, self._settings)

    def _random(self, step: int, number: int) -> random.Random:
        return random.Random(draw_seed(draw_seed(self._seed, step), number))


def change_number(value: float, distribution: Any, draws: random.Random, settings: PopulationSettings) -> float:
    """Another value of an Optuna float or int distribution, on its grid and within its bounds."""
    low, high, step = distribution.low, distribution.high, distribution.step
    if draws.random() < settings.resample:
        value = low * (high / low) ** draws.random() if distribution.log else draws.uniform(low, high)
    else:
        value = value * draws.choice(settings.factors)
    if step is not None and not distribution.log:
        value = low + round((value - low) / step) * step
    value = min(max(value, low), high)
    return round(value) if isinstance(low, int) else value
