"""Runners from configs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raydet.registry import RUNNER_BUILDERS, RUNNERS


def build_runner(cfg: Mapping[str, Any], default_args: Mapping[str, Any] | None = None) -> Any:
    """Build a runner.

    Args:
        cfg: `dict(type=..., max_epochs=...)`; `constructor` names what builds it.
        default_args: the rest of its arguments, such as model and optimiser.
    """
    arguments = cfg.copy() if hasattr(cfg, "copy") else dict(cfg)
    constructor = arguments.pop("constructor", "DefaultRunnerConstructor")
    builder = RUNNER_BUILDERS.build({"type": constructor, "runner_cfg": arguments, "default_args": default_args})
    return builder()


class DefaultRunnerConstructor:
    """Builds the runner that its dict names. Register another one in `RUNNER_BUILDERS` to do more.

    Args:
        runner_cfg: dict of the runner.
        default_args: arguments that `runner_cfg` does not give.
    """

    def __init__(self, runner_cfg: Mapping[str, Any], default_args: Mapping[str, Any] | None = None) -> None:
        if not isinstance(runner_cfg, Mapping):
            raise TypeError(f"runner must be a dict, got {type(runner_cfg).__name__}")
        self.runner_cfg = runner_cfg
        self.default_args = default_args

    def __call__(self) -> Any:
        return RUNNERS.build(self.runner_cfg, self.default_args)
