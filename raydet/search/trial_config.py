"""The config of a trial: the base config, what was drawn, and what a sweep needs of every run."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from raydet.config import Config
from raydet.search.file import Sweep
from raydet.search.settings import PruningSettings
from raydet.search.task import TrialTask


def trial_config(base: Config, task: TrialTask, pruning: PruningSettings) -> Config:
    """The config that a trial trains.

    It is evaluated, and a checkpoint is made, every `pruning.interval` steps and at the end; one checkpoint is kept,
    in a population all, since others may go on from any of them.

    Args:
        base: the sweep's, with its modules imported and absolute paths.
        task: the trial.
        pruning: of the sweep.
    """
    cfg = copy.deepcopy(base)
    cfg.merge_from_dict(copy.deepcopy(task.options))
    cfg["seed"] = task.seed
    by_epoch = pruning.unit == "epoch"
    last = last_step(cfg, pruning)
    evaluation = dict(cfg.get("evaluation") or {})
    for name in ("start", "dynamic_intervals", "separate"):
        evaluation.pop(name, None)
    evaluation.update(interval=pruning.interval, by_epoch=by_epoch, fraction=pruning.val_fraction)
    rest = last % pruning.interval
    if rest:
        evaluation["dynamic_intervals"] = [
            (last - rest + 1, last)
        ]  # which is the one number that divides the last step
    cfg["evaluation"] = evaluation
    keep = 1
    if pruning.scheduler == "pbt":
        keep = -1
        renewal = {"type": "RenewOptimizerHook", "optimizer": cfg["optimizer"], "priority": "HIGHEST"}
        cfg["custom_hooks"] = [*(cfg.get("custom_hooks") or []), renewal]
    cfg["checkpoint_config"] = {
        **(cfg.get("checkpoint_config") or {}),
        "interval": pruning.interval,
        "by_epoch": by_epoch,
        "max_keep_ckpts": keep,
    }
    cfg["nan_guard"] = {"dump": False, **(cfg.get("nan_guard") or {})}  # which is as large as a checkpoint
    if task.source:
        cfg["resume_from"] = str(source_checkpoint(task, by_epoch))
    return cfg


def last_step(cfg: Config, pruning: PruningSettings) -> int:
    """Epochs or iterations of a whole run.

    Raises:
        ValueError: the config's runner counts in the other unit.
    """
    key = f"max_{pruning.unit}s"
    steps: Any = (cfg.get("runner") or {}).get(key)
    if not isinstance(steps, int):
        raise ValueError(
            f"pruning.unit is {pruning.unit!r}, but the config's runner has no {key}; choose the unit that it "
            "counts in, or set pruning.max_steps"
        )
    return steps


def max_steps_of(sweep: Sweep) -> int:
    """Epochs or iterations of a whole trial of a sweep, by which rungs are laid.

    Raises:
        ValueError: neither the sweep nor its config says.
    """
    return sweep.pruning.max_steps or last_step(sweep.config, sweep.pruning)


def source_checkpoint(task: TrialTask, by_epoch: bool) -> Path:
    """The checkpoint of another trial that this one goes on from."""
    return Path(task.source) / f"{'epoch' if by_epoch else 'iter'}_{task.source_step}.pth"
