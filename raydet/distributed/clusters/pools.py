"""What a cluster is on every platform: a head that does no work, pools of GPU machines, a pool of CPU machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from raydet.distributed.clusters.machines import DEFAULTS, Machine, find_machine

RAY_VERSION = "2.60.0"
"""Of the clusters that raydet describes; head and workers must have the same."""

MARKETS = ("both", "spot", "on-demand")


@dataclass(frozen=True)
class Pool:
    """Machines of one kind that come and go together.

    Args:
        name: of the node type or worker group.
        machine: their size.
        most: how many there may be.
        labels: of their nodes, for `data_label_selector` and `worker_label_selector`.
        purpose: in words.
        spot: cheap machines that the platform may take away.
        priority: pools with a higher one are filled first.
    """

    name: str
    machine: Machine
    most: int
    labels: Mapping[str, str]
    purpose: str
    spot: bool = False
    priority: int = 0

    @property
    def resources(self) -> dict[str, int]:
        """Whole numbers, as Ray wants them."""
        gpus = {"GPU": self.machine.gpus} if self.machine.gpus else {}
        return {"CPU": self.machine.cpus, **gpus}

    def __str__(self) -> str:
        return f"{self.name}: 0 to {self.most} x {self.machine}, {self.purpose}"


@dataclass(frozen=True)
class Cluster:
    """A cluster as its user asks for it; `<NAMES>` in capitals are for the user to fill in.

    Args:
        platform: "aws", "gcp", "azure" or "kuberay".
        name: of the cluster.
        gpu: machine that trains; the platform's default when empty, like the next two.
        head: machine of the head node.
        data: machine that reads and augments.
        max_workers: GPU machines.
        data_nodes: CPU machines that read and augment, 0 for none.
        market: "spot", "on-demand", or "both": spot machines first.
        image: container image with raydet; raydet is installed from its wheel when empty.
        storage: URI of the folder of all runs.
        region: of the cloud.
        idle_minutes: after which a node without work goes.
        command: what a job runs.

    Raises:
        ValueError: a machine is unknown or unfit, or a number is impossible.
    """

    platform: str
    name: str = "raydet"
    gpu: str = ""
    head: str = ""
    data: str = ""
    max_workers: int = 8
    data_nodes: int = 4
    market: str = "both"
    image: str = ""
    storage: str = ""
    region: str = ""
    idle_minutes: int = 10
    command: str = ""
    ray_version: str = field(default=RAY_VERSION)

    def __post_init__(self) -> None:
        if self.max_workers < 1 or self.data_nodes < 0 or self.idle_minutes < 1:
            raise ValueError(
                f"max_workers and idle_minutes are 1 or more and data_nodes 0 or more, got {self.max_workers}, "
                f"{self.idle_minutes} and {self.data_nodes}"
            )
        if self.market not in MARKETS:
            raise ValueError(f"market must be one of {MARKETS}, got {self.market!r}")
        if not self.trainer.gpus:
            raise ValueError(f"{self.trainer} has no GPU; give --gpu a machine that has")

    @cached_property
    def trainer(self) -> Machine:
        return find_machine(self.platform, self.gpu or DEFAULTS[self.platform].gpu)

    @cached_property
    def header(self) -> Machine:
        return find_machine(self.platform, self.head or DEFAULTS[self.platform].head)

    @property
    def place(self) -> str:
        return self.region or DEFAULTS[self.platform].region

    @property
    def pools(self) -> list[Pool]:
        """The pools beside the head, those that are filled first in front."""
        pools = []
        if self.market != "on-demand":
            purpose = "may be taken away; training then goes on from its newest checkpoint"
            labels = {"pool": "train", "market": "spot"}
            pools.append(Pool("train-spot", self.trainer, self.max_workers, labels, purpose, True, priority=2))
        if self.market != "spot":
            labels = {"pool": "train", "market": "on-demand"}
            pools.append(
                Pool("train", self.trainer, self.max_workers, labels, "at the full price, never taken away", priority=1)
            )
        if self.data_nodes:
            machine = find_machine(self.platform, self.data or DEFAULTS[self.platform].data)
            purpose = "read and augment, so that GPU machines need few CPUs"
            pools.append(Pool("data", machine, self.data_nodes, {"pool": "data"}, purpose))
        return pools

    @property
    def most_nodes(self) -> int:
        """Nodes beside the head at any time: both GPU pools together have no more than one alone."""
        return self.max_workers + self.data_nodes

    @property
    def dollars(self) -> tuple[float, float]:
        """An hour of the cluster without work, and with all nodes up on demand."""
        prices = {pool.labels["pool"]: pool.machine.dollars * pool.most for pool in self.pools}
        return self.header.dollars, self.header.dollars + sum(prices.values())
