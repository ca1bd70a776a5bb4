"""Drawing trials: the study proposes, the space turns that into changes of the config."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from raydet.config import Config
from raydet.search.ledger import Drawn
from raydet.search.samplers import draw_seed
from raydet.search.space import Draw, Rejected, Space
from raydet.search.study import DrawingStudy
from raydet.search.tree import SweepError

FOLDER = "trials/{:04d}"


class Drawer:
    """Draws the trials of a sweep; the same ones from the same seed and the same results.

    Args:
        study: proposes, and knows what came of earlier proposals.
        space: what can be drawn.
        base: config that trials change.
        seed: of the sweep.
        given: Optuna parameters of the first trials.
        only_given: there are no others.
    """

    def __init__(
        self,
        study: DrawingStudy,
        space: Space,
        base: Config,
        seed: int,
        given: Sequence[Mapping[str, Any]] = (),
        only_given: bool = False,
    ) -> None:
        self.study = study
        self._space = space
        self._base = base
        self._seed = seed
        self._given = given
        self._only_given = only_given

    def has_more(self, number: int) -> bool:
        """Whether there is a trial with this number."""
        return not self._only_given or number < len(self._given)

    def draw(self, number: int) -> Drawn:
        """Draw the next trial; one whose point breaks a constraint or has no value somewhere is rejected."""
        seed = draw_seed(self._seed, number)
        trial = self.study.ask(number, seed, self._given[number] if number < len(self._given) else None)
        try:
            draw, rejected = self._space.draw(trial, self._base), ""
        except Rejected as outcome:
            draw, rejected = outcome.draw, outcome.reason
        except SweepError as error:  # an expression that divides by a zero of this point, for instance
            draw, rejected = Draw(dict(trial.params), {}), str(error)
        return Drawn(
            number,
            time.time(),
            dict(trial.params),
            draw.options,
            seed,
            FOLDER.format(number),
            dict(draw.facts),
            self.study.notes(trial),
            rejected,
        )

    def options_of(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """What given parameters make of the config.

        Raises:
            Rejected: they break a constraint.
            ValueError: they are not a whole point of the space.
        """
        from optuna.trial import FixedTrial

        return dict(self._space.draw(FixedTrial(dict(params)), self._base).options)
