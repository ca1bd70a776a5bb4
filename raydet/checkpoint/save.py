"""Write a checkpoint so that no reader ever sees half of it."""

from __future__ import annotations

import os
import pickle
import time
import uuid
from collections import OrderedDict
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path, PurePath
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

import raydet
from raydet.checkpoint.checksum import DigestingFile, sidecar_of, write_sidecar
from raydet.checkpoint.read import unwrap
from raydet.checkpoint.safe import CheckpointError, read_safely
from raydet.config.nested import map_leaves


def weights_to_cpu(state_dict: Mapping[str, Tensor]) -> OrderedDict[str, Tensor]:
    """The same state dict with every tensor on the CPU; tensors that are there already are not copied."""
    on_cpu = OrderedDict((key, value.detach().cpu()) for key, value in state_dict.items())
    if hasattr(state_dict, "_metadata"):
        on_cpu._metadata = state_dict._metadata  # type: ignore[attr-defined]
    return on_cpu


def plain(value: Any) -> Any:
    """`value` with tensors on the CPU, every kind of dict as a dict, and paths as text."""
    return map_leaves(_plain_leaf, value)


def _plain_leaf(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().cpu()
    return str(value) if isinstance(value, PurePath) else value


def save_checkpoint(
    model: nn.Module,
    filename: str | Path,
    optimizer: Optimizer | Mapping[str, Optimizer] | None = None,
    meta: Mapping[str, Any] | None = None,
) -> None:
    """Write `{meta, state_dict, optimizer}`, the layout of 2.x, under a temporary name and rename it when complete.

    Its sha256 is written beside it, as `<filename>.sha256`.

    Args:
        model: its `state_dict` is written, and its `CLASSES` into `meta`.
        filename: the file; folders are made.
        optimizer: one, or several by name; left out when None.
        meta: more entries, such as `epoch` and `iter`. `raydet_version` and `time` are added.

    Raises:
        TypeError: `meta` is no dict, or holds something that a safe load could not read back.
        ValueError: `filename` is a URL.
    """
    if meta is not None and not isinstance(meta, Mapping):
        raise TypeError(f"meta must be a dict or None, got {type(meta).__name__}")
    if "://" in str(filename):
        raise ValueError(
            f"checkpoints are written to local files, got {filename}; copy the file to its store afterwards"
        )
    model = unwrap(model)
    checkpoint: dict[str, Any] = {"meta": notes_of(model, meta), "state_dict": model.state_dict()}
    if isinstance(optimizer, Optimizer):
        checkpoint["optimizer"] = optimizer.state_dict()
    elif optimizer is not None:
        checkpoint["optimizer"] = {name: each.state_dict() for name, each in optimizer.items()}
    write_checkpoint(checkpoint, Path(filename))


def notes_of(model: nn.Module, meta: Mapping[str, Any] | None) -> dict[str, Any]:
    """The `meta` of a checkpoint of a model: what is given, version and time, and the model's `CLASSES`."""
    notes = {**(meta or {}), "raydet_version": raydet.__version__, "time": time.asctime()}
    if getattr(model, "CLASSES", None) is not None:
        notes["CLASSES"] = model.CLASSES
    return notes


def write_checkpoint(checkpoint: Mapping[str, Any], path: Path) -> None:
    """Write a checkpoint under a temporary name, rename it when complete, and write its sha256 beside it.

    Args:
        checkpoint: `meta`, `state_dict` and whatever else is plain; tensors may lie anywhere.
        path: the file; folders are made.

    Raises:
        TypeError: `meta` holds something that a safe load could not read back.
    """
    content = {key: weights_to_cpu(each) if key == "state_dict" else plain(each) for key, each in checkpoint.items()}
    check_readable(content["meta"])
    sidecar_of(path).unlink(missing_ok=True)  # a digest of the file before would make the new one seem damaged
    write_sidecar(path, write_atomically(content, path))


def write_atomically(content: Any, path: Path) -> str:
    """`torch.save` to a temporary name beside `path`, flushed to the disk, then renamed; returns the sha256."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as file:
            digesting = DigestingFile(file)
            torch.save(content, digesting)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        return digesting.hexdigest()
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes had begun to write in `folder`; nobody may be writing there."""
    for path in folder.glob(".*.pth.*.tmp"):
        path.unlink(missing_ok=True)


def check_readable(meta: dict[str, Any]) -> None:
    """Raise TypeError for a `meta` that a safe load could not read back."""
    for key, value in meta.items():
        buffer = BytesIO()
        try:
            torch.save(_without_arrays(value), buffer)
            buffer.seek(0)
            read_safely(buffer, f"meta[{key!r}]")
        except (CheckpointError, pickle.PicklingError, AttributeError, TypeError) as error:
            raise TypeError(
                f"meta[{key!r}] holds a {type(value).__name__} that a safe load could not read back ({error}); "
                "store plain values: numbers, text, tensors, arrays, and lists and dicts of them"
            ) from error


def _without_arrays(value: Any) -> Any:
    """`value` without its bulk, which is always readable."""
    if isinstance(value, Tensor):
        return None
    if isinstance(value, dict):
        return {key: _without_arrays(each) for key, each in value.items()}
    return [_without_arrays(each) for each in value] if type(value) in (list, tuple) else value
