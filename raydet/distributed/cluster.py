"""Joining or starting a Ray cluster, and asking it what it has."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from raydet.distributed.autoscaler import has_autoscaler
from raydet.distributed.resources import Capacity, NodeGroup
from raydet.distributed.settings import CLUSTER_SETTINGS, environment_defaults, quiet_ray_loggers


class Connection(NamedTuple):
    """How a program stands to its cluster: it made the connection itself; it even started the cluster."""

    own: bool
    alone: bool


@contextmanager
def connected(address: str | None = None) -> Iterator[Connection]:
    """A connection to a Ray cluster; one that this call made also ends with it.

    A connection that the program has is used as it is. Otherwise `address`, or `RAY_ADDRESS`, which is also set inside
    `ray job submit`, names the cluster to join, and without any a cluster of this machine alone is started. It is never
    one that happens to run: Ray would otherwise join what an earlier crash left behind.

    Args:
        address: a cluster, or "local" for a new one.
    """
    import ray

    if ray.is_initialized():
        quiet_ray_loggers()
        yield Connection(own=False, alone=False)
        return
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    with environment_defaults(CLUSTER_SETTINGS):
        _quiet_start()
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level=logging.WARNING,
            **(_LOCAL if address == "local" else {}),
        )
        try:
            yield Connection(own=True, alone=address == "local")
        finally:
            ray.shutdown()


_LOCAL = {"include_dashboard": False}
"""A cluster of one run on one machine is gone with the run: nobody would look at its dashboard."""


def _quiet_start() -> None:
    # Ray warns that a token protects the new cluster, which is what one wants.
    logging.getLogger("ray._private.authentication").setLevel(logging.ERROR)
    quiet_ray_loggers()


def capacity(labels: Mapping[str, str] | None = None) -> Capacity:
    """What the connected cluster has and may grow to, restricted to running nodes that carry `labels`."""
    import ray
    from ray._private.state import state

    config = state.get_cluster_config()
    groups = {
        group.name: NodeGroup(dict(group.resources), math.inf if group.max_count == -1 else group.max_count)
        for group in (config.node_group_configs if config else [])
    }
    alive = [node for node in ray.nodes() if node["Alive"]]
    nodes = [
        NodeGroup(node["Resources"])
        for node in alive
        # nodes of the autoscaler's groups are already among those that it may have
        if node.get("Labels", {}).get("ray.io/node-group") not in groups and _carries(node.get("Labels", {}), labels)
    ]
    return Capacity(nodes, list(groups.values()), growing=not groups and has_autoscaler())


def _carries(labels: Mapping[str, str], wanted: Mapping[str, str] | None) -> bool:
    return all(labels.get(name) == value for name, value in (wanted or {}).items())
