"""Joining or starting a Ray cluster, and asking it what it has."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

from raydet.distributed.access import check_answers, explain, keep_token_private, use_token_if_there_is_one
from raydet.distributed.autoscaler import has_autoscaler
from raydet.distributed.resources import Capacity, NodeGroup
from raydet.distributed.settings import (
    CLUSTER_SETTINGS,
    OWN_CLUSTER_SETTINGS,
    environment_defaults,
    is_verbose,
    quiet_ray_loggers,
    ray_log_level,
)


class Connection(NamedTuple):
    """How a program stands to its cluster: it made the connection itself; it even started the cluster."""

    own: bool
    alone: bool


@contextmanager
def connected(address: str | None = None, dashboard: bool = False) -> Iterator[Connection]:
    """A connection to a Ray cluster; one that this call made also ends with it.

    A connection that the program has is used as it is. Otherwise `address`, or `RAY_ADDRESS`, which is also set inside
    `ray job submit`, names the cluster to join, and without any a cluster of this machine alone is started. It is never
    one that happens to run: Ray would otherwise join what an earlier crash left behind. The new cluster listens on the
    loopback interface alone.

    Args:
        address: a cluster, or "local" for a new one.
        dashboard: a new cluster has one. Nobody looks at it on a cluster that ends with its run, but Ray frees the
            workers of killed runs through it.

    Raises:
        ValueError: the address is not that of a cluster.
        ConnectionError: no cluster answers there, or it does not let us in.
    """
    import ray

    if ray.is_initialized():
        quiet_ray_loggers()
        yield Connection(own=False, alone=False)
        return
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    alone = address == "local"
    with environment_defaults(CLUSTER_SETTINGS), _loopback() if alone else nullcontext():
        _quiet_start()
        if not alone:
            check_answers(address)
            use_token_if_there_is_one()
        _init(address, {"include_dashboard": dashboard} if alone else {})
        try:
            yield Connection(own=True, alone=alone)
        finally:
            ray.shutdown()


@contextmanager
def _loopback() -> Iterator[None]:
    """Clusters that are started listen on the loopback interface alone, as Ray's do on macOS and Windows anyway."""
    from ray._private import ray_constants

    before = ray_constants.ENABLE_RAY_CLUSTER
    with environment_defaults(OWN_CLUSTER_SETTINGS):
        # Ray reads the variable once, when it is imported.
        ray_constants.ENABLE_RAY_CLUSTER = os.environ[ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR] not in ("0", "false")
        try:
            yield
        finally:
            ray_constants.ENABLE_RAY_CLUSTER = before


def _init(address: str, options: Mapping[str, Any]) -> None:
    import ray

    level = logging.getLevelName(ray_log_level())
    try:
        ray.init(address=address, log_to_driver=is_verbose(), logging_level=level, **options)
    except (ConnectionError, ray.exceptions.RayError) as error:
        if address == "local":
            raise
        raise ConnectionError(explain(error, address)) from error
    if address == "local":
        keep_token_private()  # Ray may just have made it
        _stop_log_monitor()


def _stop_log_monitor() -> None:
    """End the process that reads the logs of all workers ten times a second, where nobody wants their lines."""
    from ray._private import worker

    node = getattr(worker, "_global_node", None)
    if node is not None and not is_verbose() and hasattr(node, "kill_log_monitor"):
        node.kill_log_monitor(check_alive=False)


def _quiet_start() -> None:
    if not is_verbose():
        # Ray warns that a token protects the new cluster, which is what one wants.
        logging.getLogger("ray._private.authentication").setLevel(logging.ERROR)
    quiet_ray_loggers()


def this_node() -> dict[str, str]:
    """Label selector of the node that this process is on."""
    import ray

    return {"ray.io/node-id": ray.get_runtime_context().get_node_id()}


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
