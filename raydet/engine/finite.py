"""Saying which loss of which samples is not a finite number."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch


class NonFiniteLossError(AssertionError, FloatingPointError):
    """A loss is NaN or infinite."""


def loss_is_finite(outputs: Mapping[str, Any]) -> bool:
    """Whether the loss of a training step is a finite number.

    The logged numbers are on the host already, so asking them costs nothing; the tensor is asked only without them.
    """
    logged = outputs.get("log_vars") or {}
    if "loss" in logged:
        return math.isfinite(logged["loss"])
    loss = outputs.get("loss")
    return loss is None or bool(torch.isfinite(torch.as_tensor(loss)).all())


def sample_ids(batch: Any) -> list[str]:
    """Names of the images of a batch, as far as it tells them."""
    metas = batch.get("img_metas", []) if isinstance(batch, Mapping) else []
    flat = [meta for entry in metas for meta in (entry if isinstance(entry, (list, tuple)) else [entry])]
    names = [meta.get("ori_filename") or meta.get("filename") for meta in flat if isinstance(meta, Mapping)]
    return [str(name) for name in names if name]


def describe_loss(outputs: Mapping[str, Any], batch: Any, iteration: int) -> str:
    """One sentence with the losses that are not finite and the samples they were computed from."""
    logged = {name: value for name, value in (outputs.get("log_vars") or {}).items() if isinstance(value, float)}
    bad = {name: value for name, value in logged.items() if not math.isfinite(value) and name != "loss"}
    if not bad:
        bad = {"loss": float(torch.as_tensor(outputs.get("loss", math.nan)).detach().float().mean())}
    losses = ", ".join(f"{name} = {value}" for name, value in bad.items())
    return (
        f"the loss is not finite at iteration {iteration}: {losses}; samples of this process: "
        f"{', '.join(sample_ids(batch)) or 'unknown'}. Look at the annotations of these samples, lower the learning "
        "rate, warm it up for longer, or clip gradients with optimizer_config.grad_clip"
    )
