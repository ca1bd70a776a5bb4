"""Plug-in hooks that end a run in its middle."""

import os
import signal
import time
from pathlib import Path

from raydet.datasets import CocoDataset
from raydet.engine import Hook
from raydet.registry import DATASETS, HOOKS


@HOOKS.register_module()
class KillOnce(Hook):
    """Kills the process of `rank` after iteration `at`, unless the file `marker` says that it has done so."""

    def __init__(self, at, marker, rank=0):
        self.at = at
        self.marker = Path(marker)
        self.rank = rank

    def after_train_iter(self, runner):
        if runner.rank == self.rank and runner.iter + 1 == self.at and not self.marker.exists():
            time.sleep(3)  # Ray Train registers a reported checkpoint within half a second
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)


@HOOKS.register_module()
class StopForEver(Hook):
    """Waits after iteration `at` until it is killed; the file `marker` says that it does."""

    def __init__(self, at, marker):
        self.at = at
        self.marker = Path(marker)

    def after_train_iter(self, runner):
        if runner.iter + 1 == self.at and not self.marker.exists():
            time.sleep(3)
            self.marker.touch()
            time.sleep(3600)


@DATASETS.register_module()
class DeadlyDataset(CocoDataset):
    """Kills the process that evaluates it as long as the file `marker` does not exist, and makes it."""

    def __init__(self, marker, **kwargs):
        super().__init__(**kwargs)
        self.marker = Path(marker)

    def evaluate(self, results, **kwargs):
        if not self.marker.exists():
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().evaluate(results, **kwargs)
