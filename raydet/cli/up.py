"""`raydet up`: make a Ray cluster of machines that are reached by ssh."""

from __future__ import annotations

import argparse
import getpass
import os
import shlex
import subprocess
import sys
from pathlib import Path

EXAMPLES = """examples:
  raydet up hosts.txt --dry-run
  raydet up hosts.txt --user ubuntu --key ~/.ssh/cluster.pem --activate 'source ~/raydet/bin/activate'
  raydet up hosts.txt --setup 'python3 -m venv ~/raydet' --setup '~/raydet/bin/pip install raydet'
  raydet down hosts.txt

A line of the file is `ADDRESS [pool=NAME] [cpus=N] [gpus=N]`, the head comes first; pool=data machines read and
augment. The cluster file is written beside it (hosts.yaml) and handed to `ray up`. Everybody who speaks with the
cluster needs the token in ~/.ray/auth_token, which `raydet up` makes and brings to the machines."""
RAY = (sys.executable, "-m", "ray.scripts.scripts")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("hosts", type=Path, metavar="HOSTS", help="file that lists the machines")
    parser.add_argument("--user", default=getpass.getuser(), help="of ssh (%(default)s)")
    parser.add_argument("--key", metavar="FILE", help="private key of ssh; ssh's own choice if left out")
    parser.add_argument(
        "--setup", action="append", default=[], metavar="COMMAND", help="run on every machine before Ray"
    )
    parser.add_argument("--activate", default="", metavar="COMMAND", help="puts Ray and raydet on the path there")
    parser.add_argument("--name", default="raydet", help="of the cluster (%(default)s)")
    parser.add_argument("--port", type=int, default=6379, help="of the head (%(default)s)")
    parser.add_argument("--dry-run", action="store_true", help="show the cluster file and the command, and stop")


def run(args: argparse.Namespace) -> int:
    """Write the cluster file and start the cluster."""
    from raydet.distributed.clusters.hosts import Login, cluster_file, read_hosts, render_hosts
    from raydet.distributed.clusters.text import write_yaml

    hosts = read_hosts(args.hosts)
    login = Login(args.user, args.key, args.setup, args.activate, args.name, args.port)
    text, path = write_yaml(render_hosts(hosts, login)), cluster_file(args.hosts)
    if args.dry_run:
        print(f"{text}\nwould be written to {path}; then:\n  {shlex.join(['ray', 'up', '-y', str(path)])}")
        return 0
    make_token()
    path.write_text(text)
    code = ray("up", "-y", str(path))
    if code == 0:
        print(f"next: ssh -N -L 8265:localhost:8265 {args.user}@{hosts[0].address} &")
        print("      raydet submit --address http://localhost:8265 my_config.py --num-workers 2")
    return code


def ray(*arguments: str) -> int:
    """Run Ray's own command, which tells how it gets on; machines that are all there need no new autoscaler."""
    print(f"$ {shlex.join(['ray', *arguments])}", flush=True)
    return subprocess.run([*RAY, *arguments], env={"RAY_UP_enable_autoscaler_v2": "0", **os.environ}).returncode


def make_token() -> None:
    """Make the token that all machines get, unless there is one."""
    from raydet.distributed.access import keep_token_private

    if not Path("~/.ray/auth_token").expanduser().exists():
        subprocess.run([*RAY, "get-auth-token", "--generate"], check=True, stdout=subprocess.DEVNULL)
    keep_token_private()
