"""Folders that hold downloaded weights."""

from __future__ import annotations

import os
from pathlib import Path

import torch


def cache_folder() -> Path:
    """Where raydet puts what it downloads: the first folder of `$RAYDET_WEIGHTS`, or `~/.cache/raydet/weights`."""
    return weight_folders()[0]


def weight_folders() -> list[Path]:
    """Folders searched for weights: `$RAYDET_WEIGHTS` (one or several), raydet's cache, torch hub's cache."""
    named = [Path(entry).expanduser() for entry in os.environ.get("RAYDET_WEIGHTS", "").split(os.pathsep) if entry]
    return [*named, Path("~/.cache/raydet/weights").expanduser(), Path(torch.hub.get_dir()) / "checkpoints"]


def find_weights(name: str) -> Path | None:
    """The file called `name` in one of these folders, or None."""
    return next((folder / name for folder in weight_folders() if (folder / name).is_file()), None)
