"""Machines of one's own that are reached by ssh: the file that lists them, and their cluster file."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raydet.distributed.clusters.launcher import EXPORT, TOKEN
from raydet.distributed.clusters.text import Note

OPTIONS = ("pool", "cpus", "gpus")


@dataclass(frozen=True)
class Host:
    """A machine.

    Args:
        address: name or address by which the others reach it.
        pool: its label, "train" unless the file says otherwise.
        cpus: that Ray may use, all that it finds when None.
        gpus: likewise.
    """

    address: str
    pool: str = "train"
    cpus: int | None = None
    gpus: int | None = None

    @property
    def flags(self) -> str:
        """Arguments of `ray start`."""
        numbers = {"--num-cpus": self.cpus, "--num-gpus": self.gpus}
        flags = [f"{flag}={number}" for flag, number in numbers.items() if number is not None]
        return " ".join([f"--labels=pool={self.pool}", *flags])


@dataclass(frozen=True)
class Login:
    """How to come into the machines, and what to do there.

    Args:
        user: of ssh.
        key: file of its private key; ssh's own choice when None.
        setup: commands that install raydet, none where it is installed.
        activate: command in front of Ray's, such as `source ~/raydet/bin/activate`.
        name: of the cluster.
        port: of the head.
    """

    user: str
    key: str | None = None
    setup: Sequence[str] = field(default=())
    activate: str = ""
    name: str = "raydet"
    port: int = 6379


def read_hosts(path: Path) -> list[Host]:
    """The machines that a file lists, one a line, the head first: `ADDRESS [pool=NAME] [cpus=N] [gpus=N]  # comment`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line is not like that, a machine is there twice, or there is none.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; write one line for each machine, the head first")
    lines = [(number, line.split("#")[0].split()) for number, line in enumerate(path.read_text().splitlines(), 1)]
    hosts = [_host(words, f"{path}:{number}") for number, words in lines if words]
    addresses = [host.address for host in hosts]
    twice = sorted({address for address in addresses if addresses.count(address) > 1})
    if twice or not hosts:
        raise ValueError(f"{path}: {', '.join(twice)} twice" if twice else f"{path} lists no machine")
    return hosts


def _host(words: list[str], where: str) -> Host:
    address, *options = words
    found: dict[str, Any] = {}
    for option in options:
        name, mark, value = option.partition("=")
        if name not in OPTIONS or not mark or not value or (name != "pool" and not value.isdigit()):
            raise ValueError(f"{where}: {option!r} is not one of pool=NAME, cpus=N, gpus=N")
        found[name] = value if name == "pool" else int(value)
    if "@" in address:
        raise ValueError(f"{where}: write the address alone, {address.partition('@')[2]!r}, and give --user")
    return Host(address, **found)


def render_hosts(hosts: Sequence[Host], login: Login) -> dict[Any, Any]:
    """The file for `ray up` on machines of one's own; it has no node types, so that each machine looks itself up."""
    head, *workers = hosts
    start = "ulimit -n 65536; ray start"
    prefix = f"{login.activate}; {EXPORT}; " if login.activate else f"{EXPORT}; "
    auth = {"ssh_user": login.user, **({"ssh_private_key": login.key} if login.key else {})}
    return {
        Note("Rendered by `raydet up`; the first machine of its file is the head."): None,
        "cluster_name": login.name,
        "provider": {"type": "local", "head_ip": head.address, "worker_ips": [host.address for host in workers]},
        "auth": auth,
        "min_workers": len(workers),
        "max_workers": len(workers),
        "upscaling_speed": 1.0,
        "idle_timeout_minutes": 5,
        "file_mounts": {
            Note("The token travels over ssh; `ray get-auth-token --generate` makes it."): None,
            TOKEN: TOKEN,
        },
        "initialization_commands": [],
        "setup_commands": list(login.setup),
        "head_setup_commands": [],
        "worker_setup_commands": [],
        Note("The dashboard stays on the head's loopback: reach it with `ssh -L 8265:localhost:8265`."): None,
        "head_start_ray_commands": [
            f"{prefix}ray stop",
            f"{prefix}{start} --head --port={login.port} --dashboard-host=127.0.0.1 {head.flags} "
            "--autoscaling-config=~/ray_bootstrap_config.yaml",
        ],
        "worker_start_ray_commands": [
            f"{prefix}ray stop",
            f"{prefix}{_look_up(workers)}{start} --address=$RAY_HEAD_IP:{login.port} $FLAGS",
        ],
    }


def cluster_file(hosts: Path) -> Path:
    """Where the cluster file of a list of machines is written: `hosts.txt` becomes `hosts.yaml`."""
    return hosts.with_suffix(".yaml")


def _look_up(hosts: Sequence[Host]) -> str:
    """Shell code that sets FLAGS to those of the machine that runs it, by its name or one of its addresses."""
    default = Host("").flags
    special = [host for host in hosts if host.flags != default]
    if not special:
        return f"FLAGS={shlex.quote(default)}; "
    cases = " ".join(f"*' {host.address} '*) FLAGS={shlex.quote(host.flags)};;" for host in special)
    return f'case " $(hostname) $(hostname -f) $(hostname -I) " in {cases} *) FLAGS={shlex.quote(default)};; esac; '
