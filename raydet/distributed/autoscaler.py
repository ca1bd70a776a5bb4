"""Nodes that are not there yet: asking the cluster's autoscaler for them, and hearing that it cannot bring them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PATIENCE = 15.0
"""Seconds for which the autoscaler must say no; while nodes come and go it says so for a moment."""


@dataclass(frozen=True)
class Demand:
    """Bundles of resources that have to be free at the same time, each on one node.

    Args:
        bundles: the resources.
        selectors: labels that the node of each bundle must carry; empty for any node.
        text: what the bundles are for, in messages.
    """

    bundles: Sequence[Mapping[str, float]]
    selectors: Sequence[Mapping[str, str]]
    text: str


def has_autoscaler() -> bool:
    """Whether the connected cluster adds nodes when they are asked for, as those of `ray up` and of KubeRay do."""
    from ray.autoscaler.v2.utils import is_autoscaler_v2

    return bool(is_autoscaler_v2(fetch_from_server=True))


def bring_nodes(
    demand: Demand,
    *,
    timeout: float,
    say: Callable[[str], None],
    interval: float = 1.0,
    patience: float = PATIENCE,
) -> None:
    """Wait until the nodes for a demand are up and free.

    Nothing tells the limits of an autoscaler beforehand, so it is asked: a placement group of the demand makes it start
    nodes, or say that it cannot. The group is given back at once and vanishes with the program if that is killed; the
    nodes stay up until they have been idle for as long as the cluster file says, longer than a run needs to start.

    Args:
        demand: what is asked for.
        timeout: seconds to wait.
        say: is told that nodes are coming.
        interval: seconds between two looks.
        patience: seconds for which the answer must be no.

    Raises:
        ValueError: the autoscaler can never give that.
        TimeoutError: the nodes did not come in time.
    """
    from ray.util.placement_group import placement_group, remove_placement_group

    group = placement_group(
        [dict(bundle) for bundle in demand.bundles],
        bundle_label_selector=[dict(selector) for selector in demand.selectors],
    )
    try:
        if not group.wait(interval):
            say(f"asking the cluster's autoscaler for {demand.text} (at most {timeout:g} s)")
            _wait(group, demand, timeout, interval, patience)
    finally:
        remove_placement_group(group)


def settle_on_head() -> None:
    """Start the actors that Ray Data keeps for as long as a cluster lives on its head.

    Each is started by the first stream that needs it, on that stream's node, where it would outlive the run: the node
    could never become idle, and would not go.
    """
    from ray._common.constants import HEAD_NODE_RESOURCE_NAME
    from ray.data._internal.execution.node_trackers.actor_location import ActorLocationTracker
    from ray.data._internal.stats import STATS_ACTOR_NAME, STATS_ACTOR_NAMESPACE, _StatsActor

    on_head = {"lifetime": "detached", "get_if_exists": True, "resources": {HEAD_NODE_RESOURCE_NAME: 0.001}}
    _StatsActor.options(name=STATS_ACTOR_NAME, namespace=STATS_ACTOR_NAMESPACE, **on_head).remote()
    tracker = "ActorLocationTracker"
    ActorLocationTracker.options(name=tracker, namespace=tracker, max_concurrency=8, **on_head).remote()


def _wait(group: Any, demand: Demand, timeout: float, interval: float, patience: float) -> None:
    start = time.monotonic()
    refused: float | None = None
    while not group.wait(interval):
        now = time.monotonic()
        refused = (refused or now) if _refuses(group) else None
        if refused is not None and now - refused >= patience and _is_idle():
            raise ValueError(
                f"the cluster's autoscaler can never give {demand.text}; lower num_workers or resources_per_worker, or "
                "raise max_workers (maxReplicas) or the size of the nodes in the cluster's file"
            )
        if now - start >= timeout:
            state = "the autoscaler is at its limits while others use the cluster" if refused else "nodes did not come"
            raise TimeoutError(f"no place for {demand.text} within {timeout:g} s: {state}; see `ray status`")


def _refuses(group: Any) -> bool:
    """Whether the autoscaler's latest report calls the group impossible."""
    import ray
    from ray._raylet import GcsClient  # type: ignore[attr-defined]
    from ray.core.generated.autoscaler_pb2 import GetClusterStatusReply

    client = GcsClient(address=ray.get_runtime_context().gcs_address)
    report = GetClusterStatusReply.FromString(client.get_cluster_status())
    refused = report.autoscaling_state.infeasible_gang_resource_requests
    return any(group.id.hex() in request.details for request in refused)


def _is_idle() -> bool:
    """Whether nobody uses the cluster, so that waiting for others is pointless."""
    import ray

    free, everything = ray.available_resources(), ray.cluster_resources()
    return all(free.get(name, 0) >= everything.get(name, 0) - 1e-6 for name in ("CPU", "GPU"))
