"""A plug-in hook that slows a run down and notes when its steps were."""

import time
from pathlib import Path

from raydet.engine import Hook
from raydet.registry import HOOKS


@HOOKS.register_module()
class PaceHook(Hook):
    """Rests for `seconds` after each iteration of rank 0 and appends the time to the file `path`."""

    def __init__(self, path, seconds=0.0):
        self.path = Path(path)
        self.seconds = seconds

    def after_train_iter(self, runner):
        if runner.rank == 0:
            time.sleep(self.seconds)
            with self.path.open("a") as file:
                file.write(f"{time.time()}\n")


def steps(path):
    """When the steps of a run were, in seconds since 1970."""
    return [float(line) for line in Path(path).read_text().splitlines()]
