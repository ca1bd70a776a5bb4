"""Training and testing on a Ray cluster: Ray Train runs the engine, Ray Data reads; runs survive lost workers."""

from __future__ import annotations

from raydet.lazy import names_from

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
__getattr__ = names_from(__name__, _PUBLIC)
