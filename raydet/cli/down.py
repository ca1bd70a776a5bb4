"""`raydet down`: end a cluster that `raydet up` made."""

from __future__ import annotations

import argparse
from pathlib import Path

EXAMPLES = """examples:
  raydet down hosts.txt"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("hosts", type=Path, metavar="HOSTS", help="file that lists the machines, as for `raydet up`")


def run(args: argparse.Namespace) -> int:
    """Stop Ray on all machines."""
    from raydet.cli.up import ray
    from raydet.distributed.clusters.hosts import cluster_file

    path = cluster_file(args.hosts)
    if not path.is_file():
        raise FileNotFoundError(f"there is no {path}, which `raydet up {args.hosts}` writes; is the cluster up?")
    return ray("down", "-y", str(path))
