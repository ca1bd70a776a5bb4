"""The trials of a sweep one after the other in this process, without Ray."""

from __future__ import annotations

from collections.abc import Mapping

from raydet.search.attempt import plain_metrics, run_function
from raydet.search.conductor import Conductor
from raydet.search.task import TrialFunction


def run_here(conductor: Conductor, function: TrialFunction) -> None:
    """Run the trials of a sweep to their end.

    Args:
        conductor: of the sweep.
        function: that runs a trial.
    """
    while (task := conductor.next()) is not None:
        number = task.number

        def report(step: int, metrics: Mapping[str, float], number: int = number) -> bool:
            return conductor.report(number, step, plain_metrics(metrics))

        conductor.started(number)
        conductor.end(number, run_function(function, task, report))
