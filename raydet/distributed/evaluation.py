"""Evaluation during training in tasks of its own, beside the workers that train."""

from __future__ import annotations

import contextlib
import json
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from raydet.distributed.best import keep_best
from raydet.distributed.monitor import Reporter
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

        resources = self.resources(use_gpu)
        options: dict[str, Any] = {
            "num_cpus": resources["CPU"],
            "num_gpus": resources.get("GPU", 0),
            "max_retries": 3,  # lost nodes; errors are tried again by the task itself, which can say so
        }
        if self.label_selector:
            options["label_selector"] = dict(self.label_selector)
        return ValidationConfig(
            fn=EvaluationTask(cfg, folder, box, self.retries),
            task_config=ValidationTaskConfig(timeout_s=self.timeout),
            ray_remote_kwargs=options,
        )


@dataclass(frozen=True)
class EvaluationTask:
    """Evaluates one checkpoint; called by Ray Train, one at a time.

    Args:
        cfg: of the run.
        folder: of the run.
        box: where events for the driver go.
        retries: see `SeparateEvaluation`.
    """

    cfg: Any
    folder: RunFolder
    box: Any
    retries: int

    def __call__(self, checkpoint: Any, *, name: str, epoch: int, iter: int, at_end: bool) -> dict[str, float]:
        """Returns the numbers, which Ray Train keeps with the checkpoint; none after an evaluation that failed."""
        position = {"name": name, "epoch": epoch, "iter": iter, "checkpoint": Path(checkpoint.path).name}
        for attempt in range(1, self.retries + 2):
            try:
                return self._evaluate(position)
            except Exception as error:
                more = "it is tried again" if attempt <= self.retries else "it is given up, and training goes on"
                self._say(f"evaluation of {name} failed ({type(error).__name__}: {error}); {more}")
                failure = f"{type(error).__name__}: {error}"
        self.folder.write(f"{RECORDS}/{name}.json", json.dumps({**position, "error": failure}))
        return {}

    def _evaluate(self, position: dict[str, Any]) -> dict[str, float]:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="raydet_evaluation_") as place:
            metrics = self._metrics(Path(place), position["checkpoint"])
        record = {**position, "seconds": round(time.monotonic() - began, 3), "metrics": metrics}
        self.folder.write(f"{RECORDS}/{position['name']}.json", json.dumps(record))
        Reporter(self.box).tell("evaluation", record)
        numbers = {key: value for key, value in metrics.items() if isinstance(value, (int, float))}
        shown = ", ".join(f"{key} {value:.4f}" for key, value in numbers.items())
        self._say(f"evaluation of {position['name']} ({record['seconds']:.1f} s): {shown}")
        best = keep_best(self.folder, self.cfg.get("evaluation") or {}, position, records(self.folder))
        if best is not None:
            self._say(best)
        return numbers

    def _metrics(self, place: Path, name: str) -> dict[str, Any]:
        from raydet.checkpoint import check_sidecar
        from raydet.config import import_modules
        from raydet.distributed.outbox import only_file
        from raydet.engine.testing import evaluate_detector

        import_modules(self.cfg.get("custom_imports") or {})
        found = only_file(self.folder.local / name if self.folder.local else self.folder.fetch(name, place))
        check_sidecar(found)
        metrics = evaluate_detector(self.cfg, found, work_dir=place, split="val")
        return {key: value for key, value in metrics.items() if isinstance(value, (bool, int, float, str))}

    def _say(self, line: str) -> None:
        Reporter(self.box).send("log", f"raydet: {line}")


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
