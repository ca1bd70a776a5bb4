"""What a run asks of the cluster, and whether the cluster can ever give it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

Resources = dict[str, float]
_GRAIN = 100  # resources are planned in hundredths; Ray counts in ten-thousandths


@dataclass(frozen=True)
class NodeGroup:
    """Nodes of one kind: what one has, and how many there are or may be (`math.inf` when unbounded)."""

    resources: Mapping[str, float]
    count: float = 1


@dataclass(frozen=True)
class Capacity:
    """All that a cluster has (`nodes`) and what its autoscaler may add (`potential`).

    A `growing` cluster has an autoscaler whose limits nobody tells; all that is asked may be possible then.
    """

    nodes: Sequence[NodeGroup]
    potential: Sequence[NodeGroup] = ()
    growing: bool = False

    @property
    def groups(self) -> list[NodeGroup]:
        return [*self.nodes, *self.potential]

    def total(self, resource: str) -> float:
        if self.growing:
            return math.inf
        return sum(
            group.resources.get(resource, 0) * group.count for group in self.groups if resource in group.resources
        )

    def without(self, bundle: Mapping[str, float]) -> Capacity:
        """The rest of the cluster when one of its nodes has given a bundle away; all of it when none can."""
        for place, group in enumerate(self.nodes):
            if _fits(group.resources, bundle) >= 1:
                rest = {name: amount - bundle.get(name, 0) for name, amount in group.resources.items()}
                nodes = [*self.nodes[:place], NodeGroup(rest), *self.nodes[place + 1 :]]
                if group.count > 1:
                    nodes.append(replace(group, count=group.count - 1))
                return replace(self, nodes=nodes)
        return self

    def slots(self, bundle: Mapping[str, float]) -> float:
        """How many bundles fit when each has to stand on one node."""
        if self.growing:
            return math.inf
        return sum(
            group.count * _fits(group.resources, bundle) for group in self.groups if _fits(group.resources, bundle)
        )


def _fits(node: Mapping[str, float], bundle: Mapping[str, float]) -> float:
    needs = {name: amount for name, amount in bundle.items() if amount > 0}
    return min((math.floor(node.get(name, 0) / amount + 1e-6) for name, amount in needs.items()), default=math.inf)


@dataclass(frozen=True)
class ResourcePlan:
    """The resources of a run: `num_workers` times `worker`, each with `data_actors` actors of `data_cpus` CPUs.

    A run with `most` workers starts with `num_workers` of them at least.
    """

    num_workers: int
    worker: Resources
    data_actors: int
    data_cpus: float
    shared: bool = field(default=False)
    separate_data_nodes: bool = False
    most: int | None = None

    @property
    def most_workers(self) -> int:
        return self.most or self.num_workers

    @property
    def is_elastic(self) -> bool:
        return self.most_workers > self.num_workers

    @property
    def num_threads(self) -> int:
        """Threads of a worker that computes on CPUs: its own CPUs and those of its data actors, which mostly wait."""
        beside = 0.0 if self.separate_data_nodes else self.data_actors * self.data_cpus
        return max(1, int(self.worker.get("CPU", 1.0) + beside + 1e-6))

    def needs(self) -> Resources:
        total = {name: amount * self.num_workers for name, amount in self.worker.items()}
        total["CPU"] = total.get("CPU", 0) + self.num_workers * self.data_actors * self.data_cpus
        return total

    def __str__(self) -> str:
        worker = _text(self.worker)
        data = f"{self.data_actors} data actor{'s' * (self.data_actors != 1)} of {self.data_cpus:g} CPU"
        count = f"{self.num_workers} to {self.most_workers}" if self.is_elastic else str(self.num_workers)
        text = f"{count} worker{'s' * (self.most_workers != 1)} of {worker}, each with {data}"
        return f"{text} (CPUs are shared: the machine has fewer than the run would like)" if self.shared else text


def plan_resources(
    capacity: Capacity,
    num_workers: int,
    *,
    use_gpu: bool,
    most_workers: int | None = None,
    resources_per_worker: Mapping[str, float] | None = None,
    data_actors: int = 2,
    separate_data_nodes: bool = False,
    alone: bool = False,
) -> ResourcePlan:
    """Give every worker its resources and leave CPUs for the actors that read its data.

    A worker wants one CPU (and one GPU) and so does each of its data actors. Where the cluster is smaller than that,
    the number of actors is lowered to one per worker first, then all take an equal part of a CPU. On a machine that
    nobody else uses, workers without GPUs take all CPUs that are left.

    An elastic run must fit node by node, however many workers there are: a worker's own share covers its actors, which
    ask for nothing themselves.

    Args:
        capacity: of the cluster.
        num_workers: training processes, the fewest of them in an elastic run.
        most_workers: the most training processes of an elastic run.
        use_gpu: one GPU for each.
        resources_per_worker: what a worker takes instead.
        data_actors: wanted actors per worker, 2.x `workers_per_gpu`; 0 when data is read in the worker itself.
        separate_data_nodes: data actors run on nodes of their own, so that their CPUs are not the workers'.
        alone: the cluster is this machine and serves this run only.
    """
    worker = {"CPU": 1.0, **({"GPU": 1.0} if use_gpu else {}), **(resources_per_worker or {})}
    cpus = capacity.total("CPU")
    if most_workers is not None and most_workers > num_workers:
        largest = max((group.resources.get("CPU", 0.0) for group in capacity.groups), default=1.0)
        wanted = float(max(1, int(min(1 + data_actors, largest))))
        worker = {**worker, "CPU": wanted, **(resources_per_worker or {})}
        return ResourcePlan(num_workers, worker, data_actors, 0.0, most=most_workers)
    if separate_data_nodes or not math.isfinite(cpus):
        return ResourcePlan(num_workers, worker, data_actors, 1.0, separate_data_nodes=separate_data_nodes)
    spare = cpus / num_workers - worker["CPU"]
    actors = min(data_actors, max(1, int(spare)))
    if worker["CPU"] + actors <= cpus / num_workers + 1e-6:
        if alone and not use_gpu and not resources_per_worker:
            worker["CPU"] = float(int(cpus / num_workers + 1e-6) - actors)
        return ResourcePlan(num_workers, worker, actors, 1.0)
    if resources_per_worker and "CPU" in resources_per_worker:
        share = max(spare, 0.0) / actors if actors else 0.0
        return ResourcePlan(num_workers, worker, actors, _round_down(share), shared=True)
    share = _round_down(cpus / num_workers / (1 + actors))
    return ResourcePlan(num_workers, {**worker, "CPU": share}, actors, share, shared=True)


def _round_down(amount: float) -> float:
    return math.floor(amount * _GRAIN + 1e-6) / _GRAIN


def check_resources(plan: ResourcePlan, capacity: Capacity) -> None:
    """Refuse a plan that the cluster can never fulfil.

    Raises:
        ValueError: with what is asked, what there is and what to change.
    """
    short = {name: amount for name, amount in plan.needs().items() if amount > capacity.total(name) + 1e-6}
    slots = capacity.slots(plan.worker)
    starved = plan.data_actors > 0 and plan.data_cpus <= 0 and not plan.is_elastic
    if not short and slots >= plan.num_workers and not starved:
        return
    names = sorted({*plan.needs(), "CPU", "GPU"})
    have = _text({name: capacity.total(name) for name in names})
    problem = f"the run needs {plan} = {_text(plan.needs())}, and the cluster can give at most {have}"
    if starved:
        problem += "; nothing is left for the data actors"
    elif not short:
        largest = max((group.resources.get("CPU", 0) for group in capacity.groups), default=0)
        problem += f", but only {slots:g} such workers fit on single nodes (the largest has {largest:g} CPU)"
    raise ValueError(f"{problem}. {_remedy(short)}")


def check_data_nodes(plan: ResourcePlan, capacity: Capacity, selector: Mapping[str, str]) -> None:
    """Refuse a plan whose data actors do not fit on the nodes that may hold them.

    Args:
        plan: of the run.
        capacity: of the nodes that `selector` chooses.
        selector: their labels.

    Raises:
        ValueError: with what is asked, what there is and what to change.
    """
    need, have = plan.num_workers * plan.data_actors * plan.data_cpus, capacity.total("CPU")
    if need > have + 1e-6:
        raise ValueError(
            f"the data actors need {need:g} CPU on nodes labelled {dict(selector)}, and these have {have:g}; lower "
            "num_workers or data.workers_per_gpu, or start such nodes with `ray start --labels=...`"
        )


def _remedy(short: Mapping[str, float]) -> str:
    if "GPU" in short:
        return "Lower num_workers, train on CPUs with use_gpu=False, or add GPU nodes to the cluster"
    return "Lower num_workers or resources_per_worker, or add nodes (for an autoscaler: raise max_workers)"


def wait_for_resources(
    plan: ResourcePlan,
    available: Callable[[], Mapping[str, float]],
    *,
    timeout: float,
    say: Callable[[str], None],
    interval: float = 2.0,
) -> None:
    """Wait while others use the cluster.

    Raises:
        TimeoutError: after `timeout` seconds.
    """
    needs = plan.needs()
    start = time.monotonic()
    told = False
    while True:
        free = available()
        short = {name: amount for name, amount in needs.items() if amount > free.get(name, 0) + 1e-6}
        if not short:
            return
        state = f"the run needs {_text(needs)} and {_text({name: free.get(name, 0) for name in needs})} is free"
        if time.monotonic() - start >= timeout:
            raise TimeoutError(
                f"the cluster stayed busy for {timeout:g} s: {state}; end other runs, lower num_workers or raise wait"
            )
        if not told:
            say(f"waiting for the cluster, which is busy: {state} (at most {timeout:g} s)")
            told = True
        time.sleep(interval)


def _text(resources: Mapping[str, float]) -> str:
    return ", ".join(f"{amount:g} {name}" for name, amount in resources.items()) or "nothing"
