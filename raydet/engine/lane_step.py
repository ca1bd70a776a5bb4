"""Training steps of a process that computes the batches of several ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from raydet.engine.parallel import call_through, unwrap
from raydet.engine.split_step import compute_parts


class LaneStep:
    """Computes the losses of all lanes of a process; the gradients of the last one flow with those of the others.

    Only the last lane goes through the data-parallel wrapper, which then averages the sum of all over the processes.
    That is the gradient of the whole batch where losses are means over the batch of a rank, as without lanes. Batch
    norms in training mode see one lane after the other.

    Args:
        weights: of each lane.
    """

    def __init__(self, weights: Sequence[float]) -> None:
        self._weights = list(weights)

    def train_step(self, runner: Any, batch: Mapping[str, Any]) -> dict[str, Any]:
        """What the model's `train_step` returns, of all lanes together."""
        *others, weight = self._weights
        scale = 1.0 if runner.scaler is None else float(runner.scaler.get_scale())
        parts = zip(others, runner.other_batches, strict=True)
        before = compute_parts(unwrap(runner.model), runner.optimizer, parts, scale)
        outputs: dict[str, Any] = call_through(runner.model, "train_step", batch, runner.optimizer)
        with torch.autocast(outputs["loss"].device.type, enabled=False):
            loss = outputs["loss"] * weight + before["loss"]
        logged = {name: value * weight for name, value in outputs["log_vars"].items()}
        for name, value in before["log_vars"].items():
            logged[name] = logged.get(name, 0.0) + value
        total = sum(self._weights)
        return {
            **outputs,
            "loss": loss,
            "log_vars": {name: value / total for name, value in logged.items()},
            "num_samples": outputs["num_samples"] + before["num_samples"],
        }
