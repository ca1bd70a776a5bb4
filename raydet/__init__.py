"""raydet: train, tune and serve object detectors on Ray.

The names below are imported when first used, so that `import raydet` stays light.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "Config": "raydet.config",
    "build_detector": "raydet.models",
    "build_dataset": "raydet.datasets",
    "build_dataloader": "raydet.datasets",
    "train": "raydet.distributed",
    "test": "raydet.engine",
    "tune": "raydet.search",
    "init_detector": "raydet.engine",
    "inference_detector": "raydet.engine",
    "auto_scale_lr": "raydet.engine",
    "set_random_seed": "raydet.engine",
    "show_result": "raydet.visualization",
}

__all__ = [*_PUBLIC, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'raydet' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
