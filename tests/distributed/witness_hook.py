"""A plug-in hook that writes down what its process has."""

import os
from pathlib import Path

from raydet.engine import Hook
from raydet.registry import HOOKS


@HOOKS.register_module()
class Witness(Hook):
    """Writes environment variables into a file of each rank."""

    def __init__(self, names, folder):
        self.names = names
        self.folder = Path(folder)

    def before_run(self, runner):
        text = "\n".join(f"{name}={os.environ.get(name)}" for name in self.names)
        (self.folder / f"rank{runner.rank}").write_text(text)
