"""Sweeps: learning rates, anchors, losses and anything else of a config, searched with Ray Tune and Optuna."""

from __future__ import annotations

from raydet.lazy import names_from

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
__getattr__ = names_from(__name__, _PUBLIC)
