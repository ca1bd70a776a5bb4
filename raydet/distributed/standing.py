"""How a run stands: what its events and reports add up to, and where its time went."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

TIMELINE, STATUS = "timeline.jsonl", "status.json"
"""Files of a run folder: its events, and a `Standing`."""

PHASES = ("start", "train", "data", "hooks", "restart")
"""Where time goes: until the first step, steps, waiting for batches, evaluations with checkpoints and logs, and from
the loss of a worker to the next step."""

_OWN = ("rank", "epoch", "iter", "batch", "batches", "max_epochs", "max_iters", "iterations", "seconds")
"""Facts of a report that are no metrics."""


@dataclass
class Standing:
    """The state of a run as of `updated`; times are seconds since 1970.

    Attributes:
        state: "running", "finished", "failed" or "interrupted".
        started: when the run was launched first.
        launched: when it was launched last.
        launches: how often.
        restarts: how often its workers were started again.
        lost_iterations: done twice, since they came after the checkpoint that a restart went on from.
        epoch: the current one, from 1.
        iter: iterations done.
        metrics: of the last report of rank 0.
        evaluation: the last one.
        best: of the evaluations: `{"name", "value", "epoch", "iter"}`.
        checkpoint: the last one: `{"file", "iter", "epoch"}`.
        seconds: by phase, see `PHASES`.
        workers: what each rank reported last.
        error: why the run failed.
    """

    name: str = ""
    config: str = ""
    state: str = "running"
    started: float = 0.0
    launched: float = 0.0
    updated: float = 0.0
    launches: int = 0
    restarts: int = 0
    lost_iterations: int = 0
    world_size: int = 0
    epoch: int = 0
    iter: int = 0
    max_epochs: int | None = None
    max_iters: int | None = None
    metrics: dict[str, Any] = field(default_factory=dict)
    evaluation: dict[str, Any] = field(default_factory=dict)
    best: dict[str, Any] = field(default_factory=dict)
    checkpoint: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    workers: dict[str, dict[str, Any]] = field(default_factory=dict)
    error: str = ""
    waiting: str = ""
    waiting_since: float = 0.0
    best_by: str = ""

    @classmethod
    def from_dict(cls, known: Mapping[str, Any]) -> Standing:
        """What `to_dict` gave; facts of another version are left out."""
        names = {each.name for each in fields(cls)}
        return cls(**{name: value for name, value in known.items() if name in names})

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def progress(self) -> float | None:
        """The part of the run that is done, in [0, 1]; None when its length is not known."""
        return min(self.iter / self.max_iters, 1.0) if self.max_iters else None

    @property
    def data_wait_share(self) -> float | None:
        """The part of the training time that went into waiting for batches."""
        total = sum(self.seconds.get(phase, 0.0) for phase in ("train", "data", "hooks"))
        return self.seconds.get("data", 0.0) / total if total else None

    def take_event(self, event: str, at: float, facts: Mapping[str, Any]) -> None:
        """Account for something that happened at the time `at`."""
        self.updated = max(self.updated, at)
        handler = getattr(self, f"_on_{event.replace(' ', '_')}", None)
        if handler is not None:
            handler(at, facts)

    def take_report(self, at: float, facts: Mapping[str, Any]) -> None:
        """Account for what a rank tells of its last iterations."""
        self.updated = max(self.updated, at)
        self.workers[str(facts["rank"])] = {**facts, "time": at}
        if facts["rank"] != 0:
            return
        for name in ("epoch", "iter", "max_epochs", "max_iters"):
            setattr(self, name, facts[name])
        self.metrics = {name: value for name, value in facts.items() if name not in _OWN}
        for phase, seconds in facts["seconds"].items():
            self._spend(phase, seconds)

    def _spend(self, phase: str, seconds: float) -> None:
        self.seconds[phase] = self.seconds.get(phase, 0.0) + seconds

    def _wait(self, phase: str, at: float) -> None:
        if not self.waiting:
            self.waiting, self.waiting_since = phase, at

    def _on_launch(self, at: float, facts: Mapping[str, Any]) -> None:
        self.state, self.error, self.waiting = "running", "", ""
        self.started, self.launched = self.started or at, at
        self.launches += 1
        self.name, self.config = facts.get("name", self.name), facts.get("config", self.config)
        self.workers.clear()
        self._wait("start", at)

    def _on_begin(self, at: float, facts: Mapping[str, Any]) -> None:
        if self.waiting == "start":  # what restarts lose is told by those
            self.lost_iterations += max(self.iter - facts["iter"], 0)
        self.iter, self.world_size = facts["iter"], facts["world_size"]
        self.workers = {rank: last for rank, last in self.workers.items() if int(rank) < self.world_size}

    def _on_first_step(self, at: float, facts: Mapping[str, Any]) -> None:
        if self.waiting == "start":
            self._spend("start", max(at - self.waiting_since, 0.0))
        self.waiting = ""

    def _on_failure(self, at: float, facts: Mapping[str, Any]) -> None:
        self._wait("restart", at)

    def _on_restart(self, at: float, facts: Mapping[str, Any]) -> None:
        self.restarts += 1
        self.lost_iterations += facts["lost_iterations"]
        self._spend("restart", facts["seconds"])
        self.waiting = ""

    def _on_checkpoint(self, at: float, facts: Mapping[str, Any]) -> None:
        self.checkpoint = {name: facts.get(name) for name in ("file", "epoch", "iter")}

    def _on_evaluation(self, at: float, facts: Mapping[str, Any]) -> None:
        self.evaluation = dict(facts["metrics"])
        name = _measure(self.evaluation, self.best.get("name") or self.best_by)
        if name is None:
            return
        value = self.evaluation[name]
        if not self.best or (value < self.best["value"] if "loss" in name else value > self.best["value"]):
            self.best = {"name": name, "value": value, "epoch": facts.get("epoch"), "iter": facts.get("iter")}

    def _on_end(self, at: float, facts: Mapping[str, Any]) -> None:
        self.state, self.error = facts["state"], facts.get("error", "")
        if self.waiting:
            self._spend(self.waiting, max(at - self.waiting_since, 0.0))
        self.waiting = ""


def read_lines(text: str) -> list[dict[str, Any]]:
    """The records in lines of JSON, without those that were cut off when their process was killed."""
    found = []
    for line in text.splitlines():
        with contextlib.suppress(ValueError):
            found.append(json.loads(line))
    return [record for record in found if isinstance(record, dict)]


def _measure(metrics: Mapping[str, Any], wanted: str) -> str | None:
    """The metric that says which evaluation was best: `wanted` if it is there, else the first number."""
    if isinstance(metrics.get(wanted), (int, float)):
        return wanted
    return next((name for name, value in metrics.items() if isinstance(value, (int, float))), None)
