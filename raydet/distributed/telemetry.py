"""The hooks by which a training process tells how it gets on."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch

from raydet.engine.hooks.base import Hook

BEHIND_STEP = 45
"""Priority behind the optimiser's hook and before those that save and evaluate."""
DEFAULT_INTERVAL = 50
LONGEST_SILENCE = 5.0
"""Seconds after which a slow training reports although fewer than `interval` iterations are done."""

Tell = Callable[[str, Mapping[str, Any]], None]


class Stopwatch:
    """Seconds of this process by what they were spent on."""

    def __init__(self) -> None:
        self.seconds = {"train": 0.0, "data": 0.0, "hooks": 0.0}
        self._last = time.perf_counter()

    def lap(self, phase: str) -> None:
        """What passed since the last lap was spent on `phase`."""
        now = time.perf_counter()
        self.seconds[phase] += now - self._last
        self._last = now

    def take(self) -> dict[str, float]:
        """The seconds so far, rounded; counting starts anew."""
        taken = {phase: round(seconds, 4) for phase, seconds in self.seconds.items()}
        self.seconds = dict.fromkeys(self.seconds, 0.0)
        return taken


class StepEndHook(Hook):
    """Tells the stopwatch that the step is done and the hooks behind it have their turn."""

    def __init__(self, stopwatch: Stopwatch) -> None:
        self._stopwatch = stopwatch

    def after_train_iter(self, runner: Any) -> None:
        self._stopwatch.lap("train")


class TelemetryHook(Hook):
    """Reports numbers every `interval` iterations, and first steps, checkpoints and evaluations when they are there.

    Acts behind all other hooks. Every rank reports; events are told by rank 0 alone.

    Args:
        tell: takes "report" with numbers, and any other name of an event with its facts.
        stopwatch: shared with a `StepEndHook`.
        interval: iterations between reports.
        probes: more numbers for the reports, by name; those that give None are left out.
    """

    def __init__(
        self,
        tell: Tell,
        stopwatch: Stopwatch,
        interval: int = DEFAULT_INTERVAL,
        probes: Mapping[str, Callable[[], float | None]] | None = None,
    ) -> None:
        self._tell = tell
        self._stopwatch = stopwatch
        self._interval = max(interval, 1)
        self._probes = dict(probes or {})
        self._iterations = self._samples = 0
        self._since = time.perf_counter()
        self._processor = _processor_seconds()
        self._stepped = False

    def before_run(self, runner: Any) -> None:
        self._event(runner, "begin", world_size=runner.world_size, seed=runner.meta.get("seed"))

    def before_train_epoch(self, runner: Any) -> None:
        self._stopwatch.lap("hooks")

    def before_train_iter(self, runner: Any) -> None:
        self._stopwatch.lap("data")

    def after_train_iter(self, runner: Any) -> None:
        self._stopwatch.lap("hooks")
        self._iterations += 1
        self._samples += int((runner.outputs or {}).get("num_samples", 0))
        self._tell_news(runner, done=1)
        if not self._stepped:
            self._begin(runner)
        elif (runner.iter + 1) % self._interval == 0 or time.perf_counter() - self._since >= LONGEST_SILENCE:
            self._report(runner)

    def after_train_epoch(self, runner: Any) -> None:
        self._stopwatch.lap("hooks")
        self._tell_news(runner, done=0)

    def after_val_epoch(self, runner: Any) -> None:
        self._stopwatch.lap("hooks")

    def after_run(self, runner: Any) -> None:
        self._stopwatch.lap("hooks")
        if self._iterations:
            self._report(runner, done=0)

    def _begin(self, runner: Any) -> None:
        """The first step belongs to the start; what is measured begins behind it."""
        self._stepped = True
        self._event(runner, "first step", done=1)
        self._stopwatch.take()
        self._start_anew()

    def _tell_news(self, runner: Any, done: int) -> None:
        """Tell of a checkpoint or an evaluation that the runner is about to report."""
        if runner.last_checkpoint is not None:
            self._event(runner, "checkpoint", done, file=runner.last_checkpoint.name)
        if runner.evaluated:
            metrics = {name: value for name, value in runner.metrics.items() if isinstance(value, (int, float, str))}
            self._event(runner, "evaluation", done, metrics=metrics)

    def _event(self, runner: Any, name: str, done: int = 0, **facts: Any) -> None:
        if runner.rank == 0:
            self._tell(name, {"epoch": runner.epoch + 1, "iter": runner.iter + done, **facts})

    def _report(self, runner: Any, done: int = 1) -> None:
        elapsed = max(time.perf_counter() - self._since, 1e-9)
        seconds = self._stopwatch.take()
        numbers = {
            "rank": runner.rank,
            "epoch": min(runner.epoch + 1, runner.max_epochs or runner.epoch + 1),
            "iter": runner.iter + done,
            "max_epochs": runner.max_epochs,
            "max_iters": runner.max_iters,
            "iterations": self._iterations,
            "seconds": seconds,
            "lr": _first(runner.current_lr()),
            **_means(runner.log_buffer.val_history, self._iterations),
            "iter_s": round(elapsed / max(self._iterations, 1), 4),
            "data_wait": round(seconds["data"] / elapsed, 4),
            "samples_per_s": round(self._samples / elapsed, 3),
            "cpu": round((_processor_seconds() - self._processor) / elapsed, 3),
            **{name: value for name, probe in self._probes.items() if (value := probe()) is not None},
        }
        self._tell("report", numbers)
        self._start_anew()

    def _start_anew(self) -> None:
        self._iterations = self._samples = 0
        self._since, self._processor = time.perf_counter(), _processor_seconds()


def add_telemetry(runner: Any, cfg: Any, tell: Tell, probes: Mapping[str, Callable[[], float | None]]) -> None:
    """Give a runner the hooks of this module; they report as often as the config's text log has lines."""
    stopwatch = Stopwatch()
    interval = int((cfg.get("log_config") or {}).get("interval", DEFAULT_INTERVAL))
    runner.register_hook(StepEndHook(stopwatch), BEHIND_STEP)
    runner.register_hook(TelemetryHook(tell, stopwatch, interval, probes), "LOWEST")


def gpu_probes(device: torch.device) -> dict[str, Callable[[], float | None]]:
    """How busy the GPU is and how much of its memory tensors took; nothing for CPUs."""
    if device.type != "cuda":
        return {}
    return {"gpu": _Utilization(device), "gpu_memory": lambda: float(torch.cuda.max_memory_allocated(device))}


class _Utilization:
    """The part of the last moments in which a GPU was busy; None for ever where the driver does not tell."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._works = True

    def __call__(self) -> float | None:
        if not self._works:
            return None
        try:
            return torch.cuda.utilization(self._device) / 100
        except (ImportError, RuntimeError):  # without nvidia-ml-py
            self._works = False
            return None


def _processor_seconds() -> float:
    used = os.times()
    return used.user + used.system


def _first(rates: Any) -> Any:
    return {name: each[0] for name, each in rates.items()} if isinstance(rates, dict) else rates[0]


def _means(history: Mapping[str, list[float]], count: int) -> dict[str, float]:
    """Means of the last `count` values, but for the times, which the stopwatch has better."""
    last = {name: values[-count:] for name, values in history.items() if values and name not in ("time", "data_time")}
    return {name: round(sum(values) / len(values), 5) for name, values in last.items()}
