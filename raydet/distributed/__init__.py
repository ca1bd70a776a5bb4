"""Training and testing on a Ray cluster: Ray Train runs the engine, Ray Data reads; runs survive lost workers."""

from __future__ import annotations

import importlib
from typing import Any

_PUBLIC = {
    "RunResult": "raydet.distributed.training",
    "train": "raydet.distributed.training",
    "test": "raydet.distributed.testing",
    "TrainingFailed": "raydet.distributed.launch",
    "RayEnvironment": "raydet.distributed.environment",
    "StreamCarrier": "raydet.distributed.stream",
    "ActorPool": "raydet.distributed.rows",
    "RunFolder": "raydet.distributed.storage",
    "open_run_folder": "raydet.distributed.storage",
}

__all__ = [*_PUBLIC]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: Ray is large, and `--help` needs none of it."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'raydet.distributed' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)
