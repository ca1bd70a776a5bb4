"""The Ray actor that runs trials, one after the other: what Ray Tune starts, steps, reuses and stops."""

from __future__ import annotations

import os
from typing import Any

from ray import tune

from raydet.search.attempt import Attempt, Evaluated
from raydet.search.task import TrialFunction

TASK = "task"
REPORT, OUTCOME = "report", "outcome"
STOP_SECONDS = 30.0
"""A trial that was asked to end and trains on for longer loses its process."""


class TrialActor(tune.Trainable):
    """Runs trials; each step of Ray Tune is one report of the trial, or its end.

    The trial waits at every report until Ray Tune steps on, which answers it, or resets or stops the actor, which asks
    the trial to end: it then leaves its function in good order, closes its files and frees its memory.
    """

    def setup(self, config: dict[str, Any], function: TrialFunction | None = None) -> None:
        assert function is not None, "TrialActor is used through tune.with_parameters(TrialActor, function=...)"
        self._function = function
        self._begin(config)

    def _begin(self, config: dict[str, Any]) -> None:
        self._waiting = False
        self._attempt: Attempt | None = Attempt(self._function, config[TASK])

    def step(self) -> dict[str, Any]:
        assert self._attempt is not None
        if self._waiting:
            self._attempt.answer(True)
        event = self._attempt.next_event()
        self._waiting = isinstance(event, Evaluated)
        return {REPORT: event, "done": False} if self._waiting else {OUTCOME: event, "done": True}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.cleanup()
        self._begin(new_config)
        return True

    def cleanup(self) -> None:
        attempt, self._attempt = self._attempt, None
        if attempt is not None and not attempt.stop(STOP_SECONDS):
            os._exit(1)  # Ray starts the next trial in a new process
