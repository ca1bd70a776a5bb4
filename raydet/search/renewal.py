"""The hook by which a member of a population trains on another's weights with settings of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raydet.engine import Hook
from raydet.engine.optimizers import build_optimizer
from raydet.engine.parallel import unwrap


class RenewOptimizerHook(Hook):
    """Gives the optimiser of a resumed run the settings of its config again; a checkpoint brings those it had before.

    What the optimiser has gathered, such as momenta, stays. Schedules begin from the new rates.

    Args:
        optimizer: the config's section.
    """

    def __init__(self, optimizer: Mapping[str, Any]) -> None:
        self._section = optimizer

    def before_run(self, runner: Any) -> None:
        fresh = build_optimizer(unwrap(runner.model), self._section)
        pairs = [(runner.optimizer, fresh)]
        if isinstance(fresh, dict):
            pairs = [(runner.optimizer[name], each) for name, each in fresh.items()]
        for own, new in pairs:
            for group, settings in zip(own.param_groups, new.param_groups, strict=True):
                for name in [name for name in group if name.startswith("initial_")]:
                    del group[name]
                group.update({name: value for name, value in settings.items() if name != "params"})
