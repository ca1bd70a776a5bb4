"""Telling samplers which epoch it is."""

from __future__ import annotations

from typing import Any

from raydet.engine.hooks.base import Hook


class DistSamplerSeedHook(Hook):
    """Calls `set_epoch` of the sampler of a loader. Carriers are told the epoch when they are iterated."""

    def before_epoch(self, runner: Any) -> None:
        loader = runner.data_loader
        batch_sampler = getattr(loader, "batch_sampler", None)
        for sampler in (getattr(loader, "sampler", None), getattr(batch_sampler, "sampler", None)):
            if sampler is not None and hasattr(sampler, "set_epoch"):
                sampler.set_epoch(runner.epoch)
                return
