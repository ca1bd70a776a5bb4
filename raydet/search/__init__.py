"""Sweeps: learning rates, anchors, losses and anything else of a config, searched with Ray Tune and Optuna."""

from __future__ import annotations

import importlib
from typing import Any

_PUBLIC = {
    "tune": "raydet.search.run",
    "run_sweep": "raydet.search.run",
    "SweepResult": "raydet.search.run",
    "Sweep": "raydet.search.file",
    "load_sweep": "raydet.search.file",
    "SweepWatcher": "raydet.search.events",
    "TrialRecord": "raydet.search.records",
    "read_ledger": "raydet.search.ledger",
}

__all__ = [*_PUBLIC]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: Optuna and Ray are large, and `--help` needs none of them."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'raydet.search' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)
