"""A cluster of several nodes on this machine: each is a raylet of its own, with its own CPUs and labels."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raydet.distributed.settings import CLUSTER_SETTINGS, LOOPBACK_SETTINGS

OBJECT_STORE = 256 * 1024**2
"""Bytes for each node; Ray would give each a third of the machine."""
IDLE_MINUTES = 0.2
LOG = "nodes.log"
START_SECONDS = 180.0
STOP_SECONDS = 45.0
_HEAD_ID = "f" * 51 + "00000"
_RAY = (
    "from ray._private import ray_constants; ray_constants.ENABLE_RAY_CLUSTER = True;"
    "from ray.scripts.scripts import main; main()"
)
"""The program `ray`, which refuses a second node under `LOOPBACK_SETTINGS`; the processes of the node obey them."""


@dataclass(frozen=True)
class Nodes:
    """Nodes of one kind.

    Args:
        pool: their label.
        cpus: of each.
        count: how many, or how many there may be.
    """

    pool: str
    cpus: int
    count: int = 1


def parse_nodes(texts: Sequence[str]) -> list[Nodes]:
    """Nodes as one writes them: `POOL:CPUS` or `POOL:CPUSxCOUNT`.

    Raises:
        ValueError: one is not like that.
    """
    found = []
    for text in texts:
        match = re.fullmatch(r"([a-z][a-z0-9-]*):(\d+)(?:x([1-9]\d*))?", text)
        if match is None:
            raise ValueError(f"a node is POOL:CPUS or POOL:CPUSxCOUNT, such as train:1x2, got {text!r}")
        found.append(Nodes(match[1], int(match[2]), int(match[3] or 1)))
    return found


def simulate(nodes: Sequence[Nodes], autoscaled: Sequence[Nodes], command: Sequence[str]) -> int:
    """Run a command on a simulated cluster, or keep the cluster until Ctrl-C when there is none.

    Args:
        nodes: that are there from the beginning, the head first.
        autoscaled: nodes that the cluster's autoscaler brings when they are asked for.
        command: program and arguments.

    Returns:
        The exit code of the command.
    """
    with running(nodes, autoscaled) as environment:
        print(f"{sum(each.count for each in nodes)} nodes are up: RAY_ADDRESS={environment['RAY_ADDRESS']}", flush=True)
        if command:
            return subprocess.run(list(command), env={**os.environ, **environment}).returncode
        for name, value in environment.items():
            print(f"export {name}={value}")
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()
        return 0


@contextlib.contextmanager
def running(nodes: Sequence[Nodes], autoscaled: Sequence[Nodes] = ()) -> Iterator[dict[str, str]]:
    """A cluster of this machine, on its loopback; gives the environment in which programs find it.

    Several may run at once: ports are chosen anew, and only processes that were started here are ended.

    Raises:
        ValueError: there is not one head.
        RuntimeError: a node ended, or did not come up in time.
    """
    if not nodes or nodes[0].count != 1:
        raise ValueError("the first of the nodes is the head, of which there is one: --nodes head:0 train:1x2")
    environment = _environment()
    processes: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            processes.append(_start_head(nodes[0], autoscaled, environment, folder))
            _wait(processes, lambda: _answers(environment["RAY_ADDRESS"]), folder)
            _wait(processes, functools.partial(_has_nodes, 1, environment), folder)
            workers = [each for each in nodes[1:] for _ in range(each.count)]
            for count, each in enumerate(workers, 2):  # two that start at once may take each other's ports
                processes.append(_start_worker(each, environment, folder))
                _wait(processes, functools.partial(_has_nodes, count, environment), folder)
            yield environment
        finally:
            for process in reversed(processes):
                _end(process)


def _environment() -> dict[str, str]:
    """What the nodes and their clients share; a token of this cluster alone unless the user has set a mode."""
    places = {"RAY_ADDRESS": "", "RAY_API_SERVER_ADDRESS": "http://"}
    found = {name: f"{prefix}127.0.0.1:{_free_port()}" for name, prefix in places.items()}
    if "RAY_AUTH_MODE" not in os.environ:
        found |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    return found


def _start_head(
    head: Nodes, autoscaled: Sequence[Nodes], environment: dict[str, str], folder: Path
) -> subprocess.Popen[bytes]:
    flags = [
        "--head",
        f"--port={environment['RAY_ADDRESS'].rpartition(':')[2]}",
        "--dashboard-host=127.0.0.1",
        f"--dashboard-port={environment['RAY_API_SERVER_ADDRESS'].rpartition(':')[2]}",
        f"--dashboard-agent-listen-port={_free_port()}",
        f"--ray-client-server-port={_free_port()}",
    ]
    more: dict[str, str] = {}
    if autoscaled:
        path = folder / "autoscaling.json"
        path.write_text(json.dumps(_autoscaling(autoscaled, environment["RAY_ADDRESS"])))
        flags.append(f"--autoscaling-config={path}")
        more = {
            "RAY_FAKE_CLUSTER": "1",
            "RAY_enable_autoscaler_v2": "1",
            "RAY_CLOUD_INSTANCE_ID": _HEAD_ID,
            "RAY_OVERRIDE_NODE_ID_FOR_TESTING": _HEAD_ID,
            "AUTOSCALER_UPDATE_INTERVAL_S": "1",
        }
    return _start(head, flags, {**environment, **more}, folder)


def _start_worker(node: Nodes, environment: dict[str, str], folder: Path) -> subprocess.Popen[bytes]:
    flags = [f"--address={environment['RAY_ADDRESS']}", "--dashboard-agent-listen-port=0"]
    return _start(node, flags, environment, folder)


def _start(node: Nodes, flags: Sequence[str], environment: dict[str, str], folder: Path) -> subprocess.Popen[bytes]:
    """A node, which leads a process group of its own and ends when its `ray start` is ended."""
    command = [
        *(sys.executable, "-c", _RAY, "start", "--block"),
        *(f"--num-cpus={node.cpus}", f"--labels=pool={node.pool}", f"--object-store-memory={OBJECT_STORE}"),
        *("--node-ip-address=127.0.0.1", "--min-worker-port=0", "--max-worker-port=0"),
        *flags,
    ]
    everything = {**CLUSTER_SETTINGS, **LOOPBACK_SETTINGS, **os.environ, **environment}
    everything.pop("RAY_ADDRESS")  # `ray start` refuses to run beside a cluster that it names
    with open(folder / LOG, "ab") as log:
        return subprocess.Popen(command, env=everything, stdout=log, stderr=log, start_new_session=True)


def _autoscaling(nodes: Sequence[Nodes], address: str) -> dict[str, Any]:
    """A cluster file of Ray's fake provider, whose nodes are processes of the head."""
    provider = {
        "type": "external",  # "fake_multinode" reads a file that Ray's wheel lacks
        "module": "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider",
        "gcs_address": address,
        "head_node_id": _HEAD_ID,
        "launch_multiple": True,
        "use_node_id_as_ip": True,
        "disable_node_updaters": True,
        "disable_launch_config_check": True,
    }
    lists = ["initialization_commands", "setup_commands", "head_setup_commands", "worker_setup_commands"]
    lists += ["head_start_ray_commands", "worker_start_ray_commands", "cluster_synced_files", "rsync_exclude"]
    types = {
        each.pool: {
            "resources": {"CPU": each.cpus, "object_store_memory": OBJECT_STORE},
            "labels": {"pool": each.pool},
            "node_config": {},
            "min_workers": 0,
            "max_workers": each.count,
        }
        for each in nodes
    }
    return {
        "cluster_name": "simulated",
        "max_workers": sum(each.count for each in nodes),
        "upscaling_speed": 1.0,
        "idle_timeout_minutes": IDLE_MINUTES,
        "provider": provider,
        "auth": {},
        "docker": {},
        "file_mounts": {},
        "file_mounts_sync_continuously": False,
        "rsync_filter": [],
        **{name: [] for name in lists},
        "head_node_type": "ray.head.default",
        "available_node_types": {
            "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
            **types,
        },
    }


def _wait(processes: Sequence[subprocess.Popen[bytes]], condition: Callable[[], bool], folder: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while not condition():
        ended = [process.returncode for process in processes if process.poll() is not None]
        if ended or time.monotonic() > end:
            what = f"a node ended with exit code {ended[0]}" if ended else f"not up within {START_SECONDS:g} s"
            words = (folder / LOG).read_text(errors="replace")[-2000:]
            raise RuntimeError(f"the simulated cluster did not start: {what}; its last words:\n{words}")
        time.sleep(0.3)


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.socket() as client:
        return client.connect_ex((host, int(port))) == 0


def _has_nodes(count: int, environment: dict[str, str]) -> bool:
    """Whether so many nodes live, as a program of its own sees it: a process reads the token only once."""
    program = (
        "from ray._private.state import GlobalState; from ray._raylet import GcsClientOptions; import os, sys;"
        "state = GlobalState(); options = GcsClientOptions.create(os.environ['RAY_ADDRESS'], None, True, False);"
        "state._initialize_global_state(options); print(sum(node['Alive'] for node in state.node_table()))"
    )
    asked = subprocess.run([sys.executable, "-c", program], env={**os.environ, **environment}, capture_output=True)
    return asked.returncode == 0 and int(asked.stdout) >= count


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a node, and what is left of its process group."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
