"""`raydet cluster`: cluster files for clouds, Kubernetes and one's own machines, and clusters of this machine."""

from __future__ import annotations

import argparse
from pathlib import Path

from raydet.distributed.clusters.pools import MARKETS

EXAMPLES = """examples:
  raydet cluster list
  raydet cluster render aws --gpu g5.12xlarge --max-workers 8 --spot --fill AWS_ACCOUNT_ID=123456789012 -o aws.yaml
  raydet cluster render kuberay-job --image registry/raydet:cuda --command 'raydet train ...' -o job.yaml
  raydet cluster check aws.yaml job.yaml
  raydet cluster simulate --nodes head:0 train:1x2 data:1 -- raydet train my_config.py --num-workers 2
  raydet cluster simulate --nodes head:0 --autoscale train:1x2 -- raydet train my_config.py --num-workers 2

A machine that raydet does not know is given as NAME:CPUS:GPUS:GIB. `raydet up` makes a cluster of your own machines."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("list", help="say which cluster files there are")
    _add_render(actions.add_parser("render", help="print a cluster file, or write it with -o"))
    check = actions.add_parser("check", help="find what is wrong in cluster files and what is left to fill in")
    check.add_argument("files", nargs="*", metavar="FILE", help="of `ray up` or KubeRay; the shipped ones if left out")
    _add_simulate(actions.add_parser("simulate", help="run a command on a cluster of several nodes on this machine"))


def _add_render(render: argparse.ArgumentParser) -> None:
    render.add_argument("target", metavar="KIND", help="aws, gcp ... as `raydet cluster list` says")
    render.add_argument("-o", "--out", metavar="FILE", help="write the file instead of printing it")
    render.add_argument("--fill", action="append", default=[], metavar="NAME=VALUE", help="fill in a <NAME>")
    machines = render.add_argument_group("what the cluster is made of")
    machines.add_argument("--gpu", metavar="MACHINE", help="machine that trains")
    machines.add_argument("--max-workers", type=int, metavar="N", help="how many of these at most (8)")
    machines.add_argument("--spot", dest="market", action="store_const", const=MARKETS[1], help="only spot machines")
    machines.add_argument("--on-demand", dest="market", action="store_const", const=MARKETS[2], help="no spot machines")
    machines.add_argument("--data", metavar="MACHINE", help="machine that reads and augments")
    machines.add_argument("--data-nodes", type=int, metavar="N", help="how many of these at most (4); 0 for none")
    machines.add_argument("--head", metavar="MACHINE", help="machine of the head")
    machines.add_argument("--idle-minutes", type=int, metavar="N", help="after which an idle node goes (10)")
    what = render.add_argument_group("what runs there")
    what.add_argument("--name", metavar="NAME", help="of the cluster (raydet)")
    what.add_argument("--region", metavar="NAME", help="of the cloud")
    what.add_argument("--image", metavar="IMAGE", help="container with raydet; else its wheel is installed")
    what.add_argument("--storage", metavar="URI", help="folder of all runs")
    what.add_argument("--command", dest="job", metavar="TEXT", help="what a job runs")


def _add_simulate(simulate: argparse.ArgumentParser) -> None:
    what = "POOL:CPUSxCOUNT ..., the head first (head:0 train:1x2 data:1)"
    simulate.add_argument("--nodes", nargs="+", default=["head:0", "train:1x2", "data:1"], metavar="NODE", help=what)
    simulate.add_argument(
        "--autoscale", nargs="+", default=[], metavar="NODE", help="nodes that come when they are asked for"
    )
    simulate.add_argument(
        "command_line", nargs="*", metavar="COMMAND", help="after --; else the cluster stays until Ctrl-C"
    )


def run(args: argparse.Namespace) -> int:
    """Do what was asked for."""
    return {"list": _list, "render": _render, "check": _check, "simulate": _simulate}[args.action](args)


def _list(args: argparse.Namespace) -> int:
    from raydet.config import shipped_root
    from raydet.distributed.clusters.render import TARGETS

    for name, target in TARGETS.items():
        print(f"{name:<16} {target.summary}")
    print(f"rendered with their defaults they stand in {shipped_root('clusters')}, beside files for Slurm, Docker,")
    print("Prometheus and Grafana; `raydet cluster render KIND` makes one to your measure")
    return 0


def _render(args: argparse.Namespace) -> int:
    from raydet.distributed.clusters.render import render

    names = ["gpu", "max_workers", "market", "data", "data_nodes", "head", "idle_minutes"]
    names += ["name", "region", "image", "storage"]
    options = {name: getattr(args, name) for name in names}
    text = render(args.target, fill=dict(map(_filling, args.fill)), command=args.job, **options)
    if args.out is None:
        print(text, end="")
        return 0
    Path(args.out).write_text(text)
    print(f"{args.out}: `raydet cluster check {args.out}` says what is left to fill in")
    return 0


def _filling(text: str) -> tuple[str, str]:
    name, mark, value = text.partition("=")
    if not mark or not value:
        raise ValueError(f"--fill takes NAME=VALUE, got {text!r}")
    return name.strip("<>"), value


def _check(args: argparse.Namespace) -> int:
    from raydet.config import shipped_root
    from raydet.distributed.clusters.check import check_file
    from raydet.distributed.clusters.render import TARGETS

    shipped = [shipped_root("clusters") / f"{name}.yaml" for name in TARGETS]
    reports = {path: check_file(path) for path in [Path(name) for name in args.files] or shipped}
    for path, report in reports.items():
        ready = not (report.problems or report.missing)
        print(f"{path}: {report.kind}, {'ready' if ready else f'{len(report.problems)} mistakes'}")
        for problem in report.problems:
            print(f"  {problem}")
        for name, keys in report.missing.items():
            print(
                f"  to fill in: {name} at {', '.join(keys[:3])}{f' and {len(keys) - 3} more' if len(keys) > 3 else ''}"
            )
    # what is shipped is meant to be filled in, what is named is meant to be used
    return int(any(report.problems or (args.files and report.missing) for report in reports.values()))


def _simulate(args: argparse.Namespace) -> int:
    from raydet.distributed.clusters.simulate import parse_nodes, simulate

    return simulate(parse_nodes(args.nodes), parse_nodes(args.autoscale), args.command_line)
