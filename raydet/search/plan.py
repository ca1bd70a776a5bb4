"""What the trials of a sweep take of a cluster, and how many of them run at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from raydet.distributed.cluster import capacity
from raydet.distributed.request import num_threads
from raydet.distributed.resources import Capacity, ResourcePlan, check_resources, plan_resources
from raydet.distributed.rows import ActorPool
from raydet.search.settings import TrialSettings

_NEXT_TO_NOTHING = {"memory": 1.0}
"""Of an actor that only watches over the workers of its trial; Ray wants it to ask for something."""


@dataclass(frozen=True)
class SweepPlan:
    """The resources of a sweep.

    Args:
        trial: of each trial.
        concurrent: trials at a time.
    """

    trial: ResourcePlan
    concurrent: int

    @property
    def inside(self) -> bool:
        """A trial trains in the process that Ray Tune starts for it, as it has only one worker."""
        return self.trial.num_workers == 1

    @property
    def bundles(self) -> list[dict[str, float]]:
        """Of a trial's placement group; workers of their own and data actors take their resources themselves."""
        return [self.trial.worker if self.inside else _NEXT_TO_NOTHING]

    def __str__(self) -> str:
        trials = "1 trial" if self.concurrent == 1 else f"{self.concurrent} trials"
        return f"{trials} at a time of {self.trial}"


def plan_sweep(
    settings: TrialSettings, cluster: Capacity, *, data_actors: int, num_trials: int, alone: bool = False
) -> SweepPlan:
    """Share a cluster out among trials.

    Without a number in the settings, a trial gets what a run of its own would, and as many run as fit. With one, trials
    of one worker share what there is; those of several, which ask for it as any run does, are as many as fit at most.

    Args:
        settings: the shape of a trial.
        cluster: all that there is.
        data_actors: wanted for each worker.
        num_trials: of the sweep; no more run at a time.
        alone: nobody else uses the cluster.

    Raises:
        ValueError: not even one trial, or not so many at a time, can ever fit.
    """
    inside = settings.num_workers == 1
    wanted = (settings.concurrent or 1) if inside else 1
    given = {"CPU": settings.cpus, "GPU": settings.gpus}
    use_gpu = bool(settings.gpus) if settings.use_gpu is None and settings.gpus is not None else settings.use_gpu
    plan = plan_resources(
        cluster,
        settings.num_workers * wanted,
        use_gpu=cluster.total("GPU") > 0 if use_gpu is None else use_gpu,
        resources_per_worker={name: amount for name, amount in given.items() if amount is not None},
        data_actors=data_actors,
        alone=alone and wanted == settings.concurrent == 1,
    )
    check_resources(plan, cluster)
    trial = replace(plan, num_workers=settings.num_workers)
    shared = settings.concurrent if inside else None
    return SweepPlan(trial, min(shared or _fitting(trial, cluster), settings.concurrent or num_trials, num_trials))


def _fitting(trial: ResourcePlan, cluster: Capacity) -> int:
    """Trials that fit a cluster."""
    ratios = [cluster.total(name) / amount for name, amount in trial.needs().items() if amount > 0]
    number = min([*ratios, cluster.slots(trial.worker) / trial.num_workers])
    return max(1, math.floor(number + 1e-6)) if math.isfinite(number) else MOST


MOST = 64
"""Trials at a time where an autoscaler brings as many nodes as one likes."""


def plan_here(sweep: Any, alone: bool, training: bool) -> SweepPlan:
    """The plan of a sweep on the connected cluster.

    Args:
        sweep: to run.
        alone: nobody else uses the cluster.
        training: trials train with raydet and read data.
    """
    data_actors = 0
    if training and sweep.trial.carrier == "ray":
        data_actors = max(1, int(sweep.config["data"].get("workers_per_gpu", 2)))
    return plan_sweep(
        sweep.trial, capacity(), data_actors=data_actors, num_trials=sweep.num_trials, alone=alone and training
    )


def actor_pool(plan: SweepPlan) -> ActorPool:
    """The actors that read for one worker of a trial."""
    import ray

    store = ray.cluster_resources().get("object_store_memory", 2**30)
    # Two streams for each worker, and half of the store for everything else.
    fair = int(store / (plan.concurrent * plan.trial.num_workers) / 4)
    return ActorPool(plan.trial.data_actors, plan.trial.data_cpus, None, min(ActorPool.bytes_in_flight, fair))


def threads(plan: SweepPlan) -> int | None:
    """Threads of each worker; None leaves them to a user who has chosen a number."""
    return num_threads(plan.trial)
