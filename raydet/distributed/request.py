"""What the caller of a distributed run asks of a cluster, and what the run will use of it."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raydet.config import Config, import_modules
from raydet.distributed.autoscaler import Demand, bring_nodes, settle_on_head
from raydet.distributed.cluster import capacity
from raydet.distributed.evaluation import SeparateEvaluation
from raydet.distributed.fault_tolerance import FaultTolerance
from raydet.distributed.paths import resolve_paths
from raydet.distributed.resources import (
    Capacity,
    ResourcePlan,
    check_data_nodes,
    check_resources,
    plan_resources,
    wait_for_resources,
)
from raydet.distributed.rows import ActorPool

CARRIERS = ("ray", "torch")
BESIDE_WORKERS = "worker"
"""In place of labels: each worker's data actors stay on its node."""


@dataclass(frozen=True)
class Request:
    """What the caller of a run asks for beside the config; see `raydet.distributed.train`."""

    num_workers: int | tuple[int, int] | str
    use_gpu: bool | None
    resources_per_worker: Mapping[str, float] | None
    faults: FaultTolerance
    carrier: str
    data_label_selector: Mapping[str, str] | str | None
    worker_label_selector: Mapping[str, str] | None
    wait: float
    say: Callable[[str], None]

    def __post_init__(self) -> None:
        parse_workers(self.num_workers)
        if self.carrier not in CARRIERS:
            raise ValueError(f"carrier must be one of {CARRIERS}, got {self.carrier!r}")
        if isinstance(self.data_label_selector, str) and self.data_label_selector != BESIDE_WORKERS:
            raise ValueError(
                f"data_label_selector must be a dict of labels or {BESIDE_WORKERS!r}, got {self.data_label_selector!r}"
            )

    @property
    def workers(self) -> tuple[int, int]:
        """The fewest and the most workers."""
        return parse_workers(self.num_workers)

    @property
    def workers_on(self) -> dict[str, str] | None:
        """Labels of the nodes that may hold workers."""
        return dict(self.worker_label_selector) if self.worker_label_selector else None

    @property
    def data_on(self) -> dict[str, str] | None:
        """Labels of the nodes that may hold data actors."""
        on = self.data_label_selector
        return None if not on or isinstance(on, str) else dict(on)

    def plan(self, cfg: Config, split: str, alone: bool) -> ResourcePlan:
        """The resources of the run, once the cluster has them free.

        Args:
            cfg: of the run.
            split: of the data that the run is about.
            alone: nobody else uses the cluster.

        Raises:
            ValueError: the cluster can never give them.
            TimeoutError: the cluster stayed busy, or its autoscaler brought no nodes.
        """
        import ray

        plan = self.fitting_plan(cfg, split, alone)
        if capacity().growing:
            settle_on_head()
            bring_nodes(self._demand(plan), timeout=self.wait, say=self.say)
        else:
            wait_for_resources(plan, ray.available_resources, timeout=self.wait, say=self.say)
        return plan

    def fitting_plan(self, cfg: Config, split: str, alone: bool) -> ResourcePlan:
        """The resources of the run, free or not, there or not; see `plan`."""
        everything = capacity()
        evaluation = SeparateEvaluation.of(cfg) if split == "train" else None
        if evaluation is not None:
            everything = everything.without(evaluation.resources(self._gpus(everything)))
        plan = plan_resources(
            everything,
            self.workers[0],
            most_workers=self.workers[1],
            use_gpu=self._gpus(everything),
            resources_per_worker=self.resources_per_worker,
            data_actors=_data_actors(cfg, split) if self.carrier == "ray" else 0,
            separate_data_nodes=self.data_on is not None,
            alone=alone,
        )
        check_resources(plan, everything)
        if self.data_on and not everything.growing:
            check_data_nodes(plan, capacity(self.data_on), self.data_on)
        return plan

    def _gpus(self, capacity: Capacity) -> bool:
        if self.use_gpu is not None:
            return self.use_gpu
        if capacity.growing and not any(group.resources.get("GPU") for group in capacity.groups):
            raise ValueError(
                "say whether to use GPUs, with use_gpu=True (--use-gpu) or use_gpu=False: the autoscaler of the "
                "cluster brings nodes when they are asked for, and nothing tells beforehand whether these have GPUs"
            )
        return capacity.total("GPU") > 0

    def _demand(self, plan: ResourcePlan) -> Demand:
        """All that the workers and their data actors take."""
        actors = plan.num_workers * plan.data_actors if plan.data_cpus else 0
        return Demand(
            [plan.worker] * plan.num_workers + [{"CPU": plan.data_cpus}] * actors,
            [self.workers_on or {}] * plan.num_workers + [self.data_on or {}] * actors,
            str(plan),
        )

    def pool(self, plan: ResourcePlan) -> ActorPool | None:
        """The actors that read for one worker; None when the workers read."""
        import ray

        if self.carrier != "ray":
            return None
        store = ray.cluster_resources().get("object_store_memory", 2**30)
        fair = int(store / plan.most_workers / 4)  # two streams per worker, and half of the store for everything else
        return ActorPool(
            plan.data_actors,
            plan.data_cpus,
            self.data_on,
            min(ActorPool.bytes_in_flight, fair),
            beside=self.data_label_selector == BESIDE_WORKERS,
        )


def parse_workers(asked: int | tuple[int, int] | str) -> tuple[int, int]:
    """The fewest and the most workers of `4`, `(2, 8)`, "4" or "2:8".

    Raises:
        ValueError: it is none of these, or the numbers are impossible.
    """
    if isinstance(asked, str) and re.fullmatch(r"\d+(:\d+)?", asked):
        numbers = tuple(int(part) for part in asked.split(":"))
    else:
        numbers = tuple(asked) if isinstance(asked, (tuple, list)) else (asked,)  # type: ignore[assignment]
    whole = all(isinstance(number, int) and not isinstance(number, bool) for number in numbers)
    if not whole or len(numbers) not in (1, 2) or not 1 <= numbers[0] <= numbers[-1]:
        raise ValueError(
            f"num_workers must be a number of 1 at least, or the fewest and the most as (2, 8) or '2:8', got {asked!r}"
        )
    return numbers[0], numbers[-1]


def prepare(cfg: Config | str | Path, options: Mapping[str, Any] | None) -> Config:
    """A config of its own, with the changes that `options` make, its modules imported and its paths absolute."""
    loaded = Config.fromfile(str(cfg)) if isinstance(cfg, (str, Path)) else copy.deepcopy(cfg)
    if options:
        loaded.merge_from_dict(dict(options))
    import_modules(loaded.get("custom_imports") or {})
    resolve_paths(loaded, Path.cwd())
    return loaded


def num_threads(plan: ResourcePlan) -> int | None:
    """Threads of each worker; None leaves them to a user who has chosen a number."""
    return None if os.environ.get("OMP_NUM_THREADS") else plan.num_threads


def _data_actors(cfg: Config, split: str) -> int:
    """Actors per worker: 2.x `workers_per_gpu`, one at least, since they and not the worker read."""
    data = cfg["data"]
    own = data.get(f"{split}_dataloader") or {}
    return max(1, int(own.get("workers_per_gpu", data.get("workers_per_gpu", 2))))
