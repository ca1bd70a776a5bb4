"""One evaluation in a task of its own: what computes the numbers, and what looks after it."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raydet.distributed.best import keep_best
from raydet.distributed.evaluation import RECORDS, records
from raydet.distributed.monitor import Reporter
from raydet.distributed.storage import RunFolder


@dataclass(frozen=True)
class EvaluationTask:
    """Has a checkpoint evaluated; called by Ray Train in a small task of its own, one at a time.

    The work is done by another task, whose process may die without harm.

    Args:
        cfg: of the run.
        folder: of the run.
        box: where events for the driver go.
        retries: how often an evaluation that failed is made again.
        options: of the task that does the work, such as `num_cpus`.
    """

    cfg: Any
    folder: RunFolder
    box: Any
    retries: int
    options: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, checkpoint: Any, *, name: str, epoch: int, iter: int, at_end: bool) -> dict[str, float]:
        """Returns the numbers, which Ray Train keeps with the checkpoint; none after an evaluation that failed."""
        place = Path(checkpoint.path).name
        position = {"name": name, "epoch": epoch, "iter": iter, "checkpoint": place}
        for attempt in range(1, self.retries + 2):
            try:
                return self._take(position, self._evaluate(place))
            except Exception as error:  # of the evaluation, or of Ray about the process that made it
                failure = _describe(error)
                more = "it is tried again" if attempt <= self.retries else "it is given up, and training goes on"
                self._say(f"evaluation of {name} failed ({failure}); {more}")
        self.folder.write(f"{RECORDS}/{name}.json", json.dumps({**position, "error": failure}))
        return {}

    def _evaluate(self, checkpoint: str) -> dict[str, Any]:
        import ray

        task = ray.remote(evaluate_checkpoint).options(max_retries=0, **self.options)
        return dict(ray.get(task.remote(self.cfg, self.folder, checkpoint)))

    def _take(self, position: dict[str, Any], found: dict[str, Any]) -> dict[str, float]:
        """Write numbers down and say them; keep the checkpoint if it is among the best."""
        record = {**position, **found}
        self.folder.write(f"{RECORDS}/{position['name']}.json", json.dumps(record))
        Reporter(self.box).tell("evaluation", record)
        numbers = {key: value for key, value in found["metrics"].items() if isinstance(value, (int, float))}
        shown = ", ".join(f"{key} {value:.4f}" for key, value in numbers.items())
        self._say(f"evaluation of {position['name']} ({found['seconds']:.1f} s): {shown}")
        best = keep_best(self.folder, self.cfg.get("evaluation") or {}, position, records(self.folder))
        if best is not None:
            self._say(best)
        return numbers

    def _say(self, line: str) -> None:
        Reporter(self.box).send("log", f"raydet: {line}")


def evaluate_checkpoint(cfg: Any, folder: RunFolder, name: str) -> dict[str, Any]:
    """`metrics` of a checkpoint on the validation data, and the `seconds` that they took.

    Args:
        cfg: of the run.
        folder: of the run.
        name: of the checkpoint's folder in it.

    Raises:
        CheckpointError: the checkpoint is damaged.
    """
    from raydet.checkpoint import check_sidecar
    from raydet.config import import_modules
    from raydet.distributed.outbox import only_file
    from raydet.engine.testing import evaluate_detector

    began = time.monotonic()
    import_modules(cfg.get("custom_imports") or {})
    with tempfile.TemporaryDirectory(prefix="raydet_evaluation_") as place:
        found = only_file(folder.local / name if folder.local else folder.fetch(name, Path(place)))
        check_sidecar(found)
        metrics = evaluate_detector(cfg, found, work_dir=place, split="val")
    plain = {key: value for key, value in metrics.items() if isinstance(value, (bool, int, float, str))}
    return {"metrics": plain, "seconds": round(time.monotonic() - began, 3)}


def _describe(error: BaseException) -> str:
    cause = getattr(error, "cause", None) or error
    return f"{type(cause).__name__}: {(str(cause).strip().splitlines() or [''])[0][:200]}"
