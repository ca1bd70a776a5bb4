"""What workers on several machines need to find each other: network interfaces, NCCL and gloo, in one place.

The section `network` of a config says it, as data that travels with the config:

    network = dict(interface='eth0', env=dict(NCCL_DEBUG='WARN', NCCL_IB_DISABLE='1'))
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

PASSED_ON = ("NCCL_", "GLOO_", "TORCH_", "RAYDET_", "MMDET_")
"""Variables of the driver that begin so reach workers on a cluster that raydet joins; Ray itself passes on none."""

_KEYS = ("interface", "env")


def worker_environment(cfg: Any, alone: bool) -> dict[str, str]:
    """The environment variables that workers get beside those of their nodes.

    Args:
        cfg: its section `network` may name the network `interface` that carries gradients (a name such as "eth0", or
            several with commas, the first match is taken), and more variables in `env`.
        alone: the cluster was started by this process, so that its workers have the environment anyway.

    Raises:
        ValueError: the section holds something else.
    """
    section = dict(cfg.get("network") or {})
    unknown = sorted(set(section) - set(_KEYS))
    if unknown:
        raise ValueError(f"network holds {unknown}, expected some of {list(_KEYS)}")
    more = section.get("env") or {}
    if not isinstance(more, Mapping):
        raise ValueError(f"network.env is {more!r}, expected a dict of environment variables")
    passed = {} if alone else {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)}
    interface = section.get("interface")
    chosen = {"GLOO_SOCKET_IFNAME": interface, "NCCL_SOCKET_IFNAME": interface} if interface else {}
    return {name: str(value) for name, value in {**passed, **chosen, **more}.items()}
