"""The phases of training and validation that a run repeats."""

from __future__ import annotations

from collections.abc import Sequence

Workflow = Sequence[tuple[str, int]]


class Rounds:
    """Where a run stands in the rounds of its workflow, counted in units: epochs or iterations of a phase.

    Args:
        workflow: phases `("train", n)` and `("val", n)`.
        trained: units of training that are done.
        begun: the next unit of training is already begun, so that validation before it is done as well.

    Raises:
        ValueError: a phase is something else, or none trains.
    """

    def __init__(self, workflow: Workflow, trained: int = 0, begun: bool = False) -> None:
        _check(workflow)
        self._units = [phase for phase, (_, count) in enumerate(workflow) for _ in range(count)]
        training = [place for place, phase in enumerate(self._units) if workflow[phase][0] == "train"]
        self._round = self._place = 0
        if begun:
            self._round, number = divmod(trained, len(training))
            self._place = training[number]
        elif trained:
            self._round, number = divmod(trained - 1, len(training))
            self._place = training[number] + 1

    def next_round(self) -> list[int]:
        """The phases of the units that are left of this round; the position moves behind them."""
        left = self._units[self._place :]
        self._round, self._place = self._round + 1, 0
        return left

    def done(self, phase: int) -> int:
        """Units of a phase before the position."""
        return self._round * self._units.count(phase) + self._units[: self._place].count(phase)


def _check(workflow: Workflow) -> None:
    for phase in workflow:
        if len(phase) != 2 or phase[0] not in ("train", "val"):
            raise ValueError(f"a phase of the workflow is ('train', n) or ('val', n), got {phase!r}")
    if not any(mode == "train" and number > 0 for mode, number in workflow):
        raise ValueError(f"the workflow {list(workflow)!r} has no training phase, so it would never end")
