"""Evaluation during training in tasks of its own, beside the workers that train."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from raydet.distributed.storage import RunFolder

RECORDS = "evaluations"
"""Folder of the run with one file for each evaluation."""


@dataclass(frozen=True)
class SeparateEvaluation:
    """The config's `evaluation.separate`.

    Args:
        num_cpus: CPUs of a task.
        num_gpus: GPUs of a task; None for one where the workers have some.
        label_selector: nodes that may hold it, such as `{"pool": "eval"}`.
        retries: how often an evaluation that failed is made again.
        queue: how many may wait or run; while there are more, evaluations other than the last are left out.
        timeout: seconds after which one is given up.
    """

    num_cpus: float = 1
    num_gpus: float | None = None
    label_selector: Mapping[str, str] | None = None
    retries: int = 2
    queue: int = 2
    timeout: float | None = None

    @classmethod
    def of(cls, cfg: Any) -> SeparateEvaluation | None:
        """What a config asks for, None when it evaluates in line.

        Raises:
            TypeError: `evaluation.separate` is of another kind, or has an unknown key.
        """
        section = (cfg.get("evaluation") or {}).get("separate")
        if not section or (cfg.get("data") or {}).get("val") is None:
            return None
        if section is True:
            return cls()
        known = [field.name for field in fields(cls)]
        if not isinstance(section, Mapping) or set(section) - set(known):
            raise TypeError(f"evaluation.separate is {section!r}, expected True or a dict with some of {known}")
        return cls(**section)

    def resources(self, use_gpu: bool) -> dict[str, float]:
        """What a task takes of the cluster."""
        gpus = float(use_gpu) if self.num_gpus is None else self.num_gpus
        return {"CPU": float(self.num_cpus), **({"GPU": gpus} if gpus else {})}

    def validation_config(self, cfg: Any, folder: RunFolder, box: Any, use_gpu: bool) -> Any:
        """What Ray Train's trainer takes."""
        from ray.train import ValidationConfig, ValidationTaskConfig

        from raydet.distributed.evaluation_task import EvaluationTask

        resources = self.resources(use_gpu)
        options: dict[str, Any] = {"num_cpus": resources["CPU"], "num_gpus": resources.get("GPU", 0)}
        if self.label_selector:
            options["label_selector"] = dict(self.label_selector)
        return ValidationConfig(
            fn=EvaluationTask(cfg, folder, box, self.retries, options),
            task_config=ValidationTaskConfig(timeout_s=self.timeout),
            ray_remote_kwargs={"num_cpus": 0, "max_retries": 3},  # the task only looks after the one that works
        )


class Waiting:
    """The evaluations that a worker has asked for and that have not ended, as far as a thread has seen by now.

    Args:
        folder: of the run; its storage may be slow, and training must not notice.
        interval: seconds between two looks.
    """

    def __init__(self, folder: RunFolder, interval: float = 2.0) -> None:
        self._folder = folder
        self._interval = interval
        self._names: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, name="raydet-evaluations", daemon=True)

    def names(self) -> list[str]:
        """Those that wait or run."""
        return list(self._names)

    def add(self, name: str) -> None:
        """Note one that is asked for."""
        self._names.append(name)
        if not self._thread.is_alive() and not self._stop.is_set():
            self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._stop.set()

    def _look(self) -> None:
        while not self._stop.wait(self._interval):
            with contextlib.suppress(OSError):
                ended = self._folder.files(RECORDS) if self._names else []
                for name in (name for name in self.names() if f"{name}.json" in ended):
                    self._names.remove(name)  # in place, as others may be added meanwhile


def records(folder: RunFolder) -> list[dict[str, Any]]:
    """The evaluations of a run that have ended, in the order of their iterations."""
    found = [json.loads(folder.read(f"{RECORDS}/{name}")) for name in folder.files(RECORDS) if name.endswith(".json")]
    return sorted(found, key=lambda record: record["iter"])


def last_metrics(folder: RunFolder) -> dict[str, Any]:
    """Those of the last evaluation that succeeded, empty without one."""
    return next((record["metrics"] for record in reversed(records(folder)) if "metrics" in record), {})
