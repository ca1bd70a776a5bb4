"""Bringing the parts of a model together that each process keeps for itself."""

from __future__ import annotations

from typing import Any

from torch.nn.modules.batchnorm import _NormBase

from raydet.engine.hooks.base import Hook
from raydet.engine.hooks.yolox import in_last_epochs
from raydet.engine.parallel import average_over_ranks, unwrap


class SyncNormHook(Hook):
    """Averages batch and instance normalisation layers over the processes after epochs.

    Args:
        num_last_epochs: during so many epochs at the end it is done after each.
        interval: epochs between averages before that.
    """

    def __init__(self, num_last_epochs: int = 15, interval: int = 1) -> None:
        self.num_last_epochs = num_last_epochs
        self.interval = interval

    def before_train_epoch(self, runner: Any) -> None:
        if in_last_epochs(runner, self.num_last_epochs, self):
            self.interval = 1

    def after_train_epoch(self, runner: Any) -> None:
        if runner.world_size > 1 and self.every_n_epochs(runner, self.interval):
            layers = [module for module in unwrap(runner.model).modules() if isinstance(module, _NormBase)]
            average_over_ranks(value for layer in layers for value in layer.state_dict().values())


class SyncBuffersHook(Hook):
    """Averages all buffers of the model over the processes after each epoch.

    Args:
        distributed: False to do nothing.
    """

    def __init__(self, distributed: bool = True) -> None:
        self.distributed = distributed

    def after_epoch(self, runner: Any) -> None:
        if self.distributed and runner.world_size > 1:
            average_over_ranks(unwrap(runner.model).buffers())
