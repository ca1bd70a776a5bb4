"""What the files of Ray's cluster launcher (`ray up FILE`) have in common on every cloud."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from raydet.distributed.clusters.pools import Cluster
from raydet.distributed.clusters.text import Note
from raydet.distributed.settings import CLUSTER_SETTINGS

HEAD_TYPE = "head"
TOKEN = "~/.ray/auth_token"
_WHEEL = "<WHEEL>"
_FIND_VENV = "test -x ~/raydet/bin/python || python3 -m venv ~/raydet"
_MAKE_VENV = "(sudo apt-get update -q && sudo apt-get install -y -q python3-venv && python3 -m venv ~/raydet)"
EXPORT = "export " + " ".join(
    f"{name}={value}" for name, value in {"RAY_AUTH_MODE": "token", **CLUSTER_SETTINGS}.items()
)
"""In front of every `ray start`: the same settings as of clusters that raydet itself starts."""
_START = f"{EXPORT}; ulimit -n 65536; ray start --object-manager-port=8076"
NodeConfig = Callable[[Any, bool], dict[Any, Any]]
"""From a machine and whether it is a spot machine to what the cloud wants to hear."""

USE = """\
Rendered by `raydet cluster render`; `raydet cluster check FILE` names what is left to fill in, which is <IN_CAPITALS>.
  ray get-auth-token --generate        # once: the token that every node and client needs
  ray up FILE                          # the head; other nodes come when a run asks for them
  ray dashboard FILE                   # http://localhost:8265 here, through ssh
  raydet submit --address http://localhost:8265 my_config.py --num-workers 4 --use-gpu
  ray down FILE
Runs keep their files with --storage {storage}"""


def launcher_file(
    cluster: Cluster,
    *,
    notes: str,
    provider: dict[Any, Any],
    auth: dict[Any, Any],
    head: dict[Any, Any],
    node_config: NodeConfig,
    packages: str,
) -> dict[Any, Any]:
    """A whole cluster file.

    Args:
        cluster: what it is.
        notes: about rights and costs on this cloud.
        provider: section of that name.
        auth: section of that name.
        head: `node_config` of the head.
        node_config: of other machines.
        packages: that the autoscaler on the head needs to speak with the cloud, for pip.
    """
    return {
        Note(USE.format(storage=cluster.storage)): None,
        Note("\n" + notes): None,
        Note("\n" + cost_notes(cluster)): None,
        "cluster_name": cluster.name,
        "max_workers": cluster.most_nodes,
        "upscaling_speed": 1.0,
        "idle_timeout_minutes": cluster.idle_minutes,
        "provider": provider,
        "auth": auth,
        "available_node_types": {
            Note("CPU: 0 keeps workers off the head, which holds the runs together and must not be lost."): None,
            HEAD_TYPE: {
                "resources": {"CPU": 0},
                "labels": {"pool": "head"},
                "min_workers": 0,
                "max_workers": 0,
                "node_config": head,
            },
            **_node_types(cluster, node_config),
        },
        "head_node_type": HEAD_TYPE,
        **_software(cluster, packages),
        Note(
            "The dashboard runs any code that is sent to it: it stays on the head's loopback, behind ssh and token."
        ): None,
        "head_start_ray_commands": [
            "ray stop",
            f"{_START} --head --port=6379 --dashboard-host=127.0.0.1 --autoscaling-config=~/ray_bootstrap_config.yaml",
        ],
        "worker_start_ray_commands": ["ray stop", f"{_START} --address=$RAY_HEAD_IP:6379"],
    }


def cost_notes(cluster: Cluster) -> str:
    """What the pools cost, in words."""
    least, most = cluster.dollars
    lines = [f"Pools: the head, {cluster.header}", *(f"- {pool}" for pool in cluster.pools)]
    if most:
        lines.append(
            f"Costs: about ${least:.2f} an hour with the head alone and ${most:.2f} with every node up on demand, by "
            "list prices in the US of late 2025; spot machines are often 60 to 70 % cheaper. Disks and traffic come "
            f"on top. A node that is idle for {cluster.idle_minutes} minutes goes; the head stays until `ray down`."
        )
    return "\n".join(lines)


def _node_types(cluster: Cluster, node_config: NodeConfig) -> dict[Any, Any]:
    types: dict[Any, Any] = {}
    for pool in cluster.pools:
        types[Note(f"{pool.machine.gpus or 'No'} GPU, {pool.machine.cpus} CPU: {pool.purpose}")] = None
        types[pool.name] = {
            "resources": pool.resources,
            "labels": dict(pool.labels),
            "min_workers": 0,
            "max_workers": pool.most,
            "priority": pool.priority,
            "node_config": node_config(pool.machine, pool.spot),
        }
    return types


def _software(cluster: Cluster, packages: str) -> dict[Any, Any]:
    """How raydet comes to the nodes: in an image, or as a wheel into a virtual environment."""
    token = {Note("The token travels over ssh; `ray get-auth-token --generate` makes it."): None, TOKEN: TOKEN}
    remember = (
        "grep -q RAY_AUTH_MODE ~/.bashrc || echo 'export PATH=$HOME/raydet/bin:$PATH RAY_AUTH_MODE=token' >> ~/.bashrc"
    )
    if cluster.image:
        return {
            "docker": {
                "image": cluster.image,
                "container_name": "raydet",
                Note("Ray itself adds the NVIDIA runtime and a /dev/shm of 30 % of the memory."): None,
                "run_options": ["--ulimit nofile=65536:65536", "--env RAY_AUTH_MODE=token"],
            },
            "file_mounts": token,
            "initialization_commands": [],
            "setup_commands": [],
            "head_setup_commands": [f"pip install -q {packages}"],
            "worker_setup_commands": [],
        }
    return {
        "file_mounts": {Note("`make build` writes the wheel."): None, f"~/{_WHEEL}": f"dist/{_WHEEL}", **token},
        "initialization_commands": [],
        "setup_commands": [
            f"{_FIND_VENV} || {_MAKE_VENV}",
            f"~/raydet/bin/pip install -q ~/{_WHEEL} 'ray[default,train,tune,data]=={cluster.ray_version}'",
            remember,
        ],
        "head_setup_commands": [f"~/raydet/bin/pip install -q {packages}"],
        "worker_setup_commands": [],
    }
