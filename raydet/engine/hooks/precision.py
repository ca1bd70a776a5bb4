"""Mixed precision: losses in 16 bits, and the scale that keeps small gradients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from raydet.engine.parallel import unwrap


@dataclass(frozen=True)
class MixedPrecision:
    """How a run computes its losses: in float16 with a scaled loss on CUDA, in bfloat16 elsewhere.

    Args:
        loss_scale: a fixed scale, "dynamic", or the arguments of `torch.amp.GradScaler`.
        dtype: "float16" or "bfloat16" (which needs no scale) to have it on every device.

    Raises:
        ValueError: one of them is something else.
    """

    loss_scale: float | str | Mapping[str, Any]
    dtype: str | None = None

    def __post_init__(self) -> None:
        if self.dtype not in (None, "float16", "bfloat16"):
            raise ValueError(f"fp16.dtype is {self.dtype!r}, expected 'float16', 'bfloat16' or None")
        self._scaler_arguments()

    def start(self, runner: Any) -> torch.amp.GradScaler:
        """Make `runner` compute losses under autocast; returns the scaler for its gradients."""
        device = next(unwrap(runner.model).parameters()).device.type
        half = device == "cuda" if self.dtype is None else self.dtype == "float16"
        runner.scaler = torch.amp.GradScaler(device, enabled=half, **self._scaler_arguments())
        runner.amp_dtype = torch.float16 if half else torch.bfloat16
        # An overflow skips the step and lowers the scale, so it does not end the run.
        runner.stop_on_nonfinite_loss = not half
        scaler: torch.amp.GradScaler = runner.scaler
        return scaler

    def _scaler_arguments(self) -> dict[str, Any]:
        if self.loss_scale == "dynamic":
            return {}
        if isinstance(self.loss_scale, Mapping):
            return dict(self.loss_scale)
        if isinstance(self.loss_scale, (int, float)):
            return {"init_scale": float(self.loss_scale), "growth_interval": 2**31 - 1}
        raise ValueError(
            f"loss_scale is {self.loss_scale!r}, expected a number, 'dynamic' or a dict of GradScaler arguments"
        )
