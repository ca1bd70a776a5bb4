"""raydet: train, tune and serve object detectors on Ray.

The names below are imported when first used, so that `import raydet` stays light.
"""

from __future__ import annotations

from raydet.lazy import names_from

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
__getattr__ = names_from(__name__, _PUBLIC)


def __dir__() -> list[str]:
    return sorted(__all__)
