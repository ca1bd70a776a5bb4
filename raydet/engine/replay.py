"""Writing down one step of a training, and doing it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from raydet.checkpoint import load, weights_to_cpu, write_atomically
from raydet.checkpoint.save import plain
from raydet.config import Config
from raydet.config.nested import map_leaves
from raydet.engine.finite import sample_ids
from raydet.engine.hooks.rf_search import KEY, restore_rates, rfnext_init_model
from raydet.engine.parallel import unwrap
from raydet.engine.random import load_random_state
from raydet.structures import BitmapMasks, PolygonMasks

_KIND = "raydet step"
_MASKS = {"BitmapMasks": BitmapMasks, "PolygonMasks": PolygonMasks}


@dataclass(frozen=True)
class Replay:
    """A step that was done again.

    Attributes:
        iteration: of the run, counted from 1.
        samples: images of the batch.
        recorded: losses that the run logged, averaged over its processes.
        losses: what they are now, in this process alone.
        gradients: parameters whose gradient is not finite.
    """

    iteration: int
    samples: list[str]
    recorded: dict[str, float]
    losses: dict[str, float]
    gradients: list[str]


def save_step(path: Path, runner: Any, random: Mapping[str, Any]) -> None:
    """Write the current step of a runner: batch, weights, random states of its beginning, config."""
    model = unwrap(runner.model)
    write_atomically(
        {
            "kind": _KIND,
            "iteration": runner.iter + 1,
            "batch": _encode(runner.data_batch),
            "state_dict": weights_to_cpu(model.state_dict()),
            "random": dict(random),
            "config": runner.meta.get("config"),
            "meta": {key: value for key, value in runner.checkpoint_meta.items() if key == KEY},
            "amp_dtype": None if runner.amp_dtype is None else str(runner.amp_dtype).removeprefix("torch."),
            "losses": dict((runner.outputs or {}).get("log_vars") or {}),
        },
        path,
    )


def replay(path: str | Path, device: str | torch.device = "cpu", model: Any = None) -> Replay:
    """Do a saved step again.

    Args:
        path: file that a run wrote, see `nan_guard`.
        device: where; random draws of a model differ between kinds of devices.
        model: the model of the run without its weights; built from the config in the file when None.

    Raises:
        ValueError: the file is something else, or there is no config in it.
    """
    step = load(path)
    if not isinstance(step, dict) or step.get("kind") != _KIND:
        raise ValueError(f"{path} is not a saved step; expected a nonfinite_iter_*.pt that a run wrote")
    device = torch.device(device)
    model = (_build(step, path) if model is None else model).to(device)
    model.load_state_dict(step["state_dict"])
    restore_rates(model, step.get("meta", {}))
    model.train()
    load_random_state(step["random"])
    batch = _decode(step["batch"], device)
    dtype = step["amp_dtype"] and getattr(torch, step["amp_dtype"])
    with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
        outputs = model.train_step(batch, None)
    outputs["loss"].backward()
    gradients = [
        name for name, p in model.named_parameters() if p.grad is not None and not bool(torch.isfinite(p.grad).all())
    ]
    return Replay(step["iteration"], sample_ids(batch), step["losses"], dict(outputs["log_vars"]), gradients)


def _build(step: Mapping[str, Any], path: str | Path) -> Any:
    from raydet.models import build_detector

    if not step["config"]:
        raise ValueError(f"{path} holds no config to build the model from; give replay() the model")
    cfg = Config.fromstring(step["config"], ".py")
    model = build_detector(cfg["model"])
    rfnext_init_model(model, cfg)
    return model


def _encode(batch: Any) -> Any:
    """A batch as plain values and tensors on the CPU."""
    return map_leaves(_encode_leaf, batch)


def _encode_leaf(value: Any) -> Any:
    if type(value).__name__ in _MASKS:
        return {"masks_of": type(value).__name__, "arguments": [value.masks, value.height, value.width]}
    return plain(value)


def _decode(value: Any, device: torch.device) -> Any:
    """What `_encode` made plain, with tensors on the device."""
    if isinstance(value, torch.Tensor):
        return value.to(device)
    if isinstance(value, dict) and "masks_of" in value:
        return _MASKS[value["masks_of"]](*value["arguments"])
    if isinstance(value, dict):
        return {key: _decode(each, device) for key, each in value.items()}
    return type(value)(_decode(each, device) for each in value) if isinstance(value, (list, tuple)) else value
