"""What a sweep file says, one class for each of its sections."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class Objective(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One number to improve.

    Args:
        metric: of the evaluation, such as `bbox_mAP`, or one of `latency` (ms per image), `params`, `flops`, `memory`
            (MiB at the peak).
        mode: "max" or "min".
    """

    metric: str
    mode: Literal["max", "min"] = "max"


class SearchSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How points of the space are chosen.

    Args:
        sampler: the algorithm.
        startup: random trials before the algorithm looks at results; None for its own default.
        options: further arguments of Optuna's sampler.
        storage: "journal" (a file in the sweep folder), "memory", or a URL: `sqlite:///...`, `postgresql://...`,
            `mysql://...`.
        study: name in the storage; the sweep's name when None.
        space_function: "module:function" that draws from an Optuna trial and returns config options, in place of
            `space`.
        imports: earlier sweep folders (or `URL#study`) whose finished trials are known from the start.
    """

    sampler: Literal["tpe", "gp", "cmaes", "nsga2", "nsga3", "random", "grid"] = "tpe"
    startup: int | None = None
    options: dict[str, Any] = {}
    storage: str = "journal"
    study: str | None = None
    space_function: str | None = None
    imports: tuple[str, ...] = ()


class PruningSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a trial is stopped early.

    Args:
        scheduler: the rule.
        unit: what steps count.
        min_steps: no trial is stopped before.
        max_steps: of a whole trial; None reads the config's `runner`.
        reduction: one in this many goes on at each rung (ASHA, Hyperband).
        interval: steps between evaluations.
        val_fraction: part of the validation set on which trials are compared, (0, 1]; a fixed one.
        options: further arguments of the rule (PBT: `quantile`, `resample`, `keys`).
    """

    scheduler: Literal["asha", "hyperband", "median", "pbt", "none"] = "none"
    unit: Literal["epoch", "iter"] = "epoch"
    min_steps: int = 1
    max_steps: int | None = None
    reduction: int = 3
    interval: int = 1
    val_fraction: float = 1.0
    options: dict[str, Any] = {}


class TrialSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one trial is given.

    Args:
        num_workers: training processes of each trial.
        use_gpu: None uses GPUs where the cluster has some.
        cpus: of each worker; may be a fraction.
        gpus: of each worker; may be a fraction.
        carrier: who reads: "ray" (Ray Data) or "torch" (a DataLoader in each worker).
        concurrent: trials at a time; None as many as fit the cluster.
        max_failures: times that a trial starts again after a lost node or worker.
        keep_best: trials whose checkpoints stay.
    """

    num_workers: int = 1
    use_gpu: bool | None = None
    cpus: float | None = None
    gpus: float | None = None
    carrier: Literal["ray", "torch"] = "ray"
    concurrent: int | None = None
    max_failures: int = 2
    keep_best: int = 3
