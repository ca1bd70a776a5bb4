"""Plug-ins that note the pools of the nodes on which the parts of a run work."""

from pathlib import Path

import ray

from raydet.engine import Hook
from raydet.registry import HOOKS, PIPELINES


def pool_here():
    return ray.get_runtime_context().get_node_labels()["pool"]


@PIPELINES.register_module()
class NotePool:
    """Leaves a file `data-POOL` in a folder."""

    def __init__(self, folder):
        self.folder = Path(folder)

    def __call__(self, results):
        (self.folder / f"data-{pool_here()}").touch()
        return results


@HOOKS.register_module()
class NotePoolHook(Hook):
    """Leaves a file `train-POOL-RANK` in a folder."""

    def __init__(self, folder):
        self.folder = Path(folder)

    def after_train_iter(self, runner):
        (self.folder / f"train-{pool_here()}-{runner.rank}").touch()
