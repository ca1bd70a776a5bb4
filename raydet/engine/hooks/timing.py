"""How long iterations take, and how long a run takes to begin."""

from __future__ import annotations

import time
from typing import Any

from raydet.engine.hooks.base import Hook


class IterTimerHook(Hook):
    """Logs `data_time` (waiting for the batch) and `time` (the whole iteration), in seconds."""

    continues_stage = True

    def __init__(self) -> None:
        self.t = time.perf_counter()
        self._before = 0.0  # what the iteration had taken when its checkpoint was made

    def before_epoch(self, runner: Any) -> None:
        self.t = time.perf_counter()

    def before_iter(self, runner: Any) -> None:
        self._before = 0.0
        runner.log_buffer.update({"data_time": time.perf_counter() - self.t})

    def after_iter(self, runner: Any) -> None:
        now = time.perf_counter()
        runner.log_buffer.update({"time": now - self.t + self._before})
        self.t = now

    def state_dict(self) -> dict[str, Any]:
        return {"elapsed": time.perf_counter() - self.t}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._before = state["elapsed"]


class StartupHook(Hook):
    """Writes how long each phase took until the first step was done as `{"startup": {phase: seconds}}`.

    Args:
        phases: seconds per phase so far; `first_step` is added here.
    """

    def __init__(self, phases: dict[str, float]) -> None:
        self.phases = phases
        self._begin = time.perf_counter()
        self._done = False

    def before_run(self, runner: Any) -> None:
        self._begin = time.perf_counter()

    def after_train_iter(self, runner: Any) -> None:
        if self._done:
            return
        self._done = True
        self.phases["first_step"] = time.perf_counter() - self._begin
        seconds = {phase: round(value, 3) for phase, value in self.phases.items()}
        runner.logger.info(f"startup: {', '.join(f'{phase} {value:.2f} s' for phase, value in seconds.items())}")
        runner.write_record({"startup": seconds})
