"""Arguments that several subcommands take."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
from collections.abc import Iterator
from typing import Any


class RunFailed(Exception):  # noqa: N818  (an outcome of a run, spoken of as such)
    """A run that was asked for rightly and failed; its text is for the user."""


def add_config(parser: argparse.ArgumentParser) -> None:
    """CONFIG and what changes it."""
    parser.add_argument("config", metavar="CONFIG", help="config file (Python, YAML, JSON), or name of a shipped one")
    add_overrides(parser)


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """Arguments that change a config."""
    from raydet.config import DictAction

    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=DictAction,
        default={},
        metavar="KEY=VALUE",
        help='change keys of the config: optimizer.lr=0.01 data.train.pipeline.0.type=X "model.strides=[8,16]"',
    )
    parser.add_argument(
        "--trust-config",
        action="store_true",
        help="execute the config file; without it Python files are read but not run, which suffices for most",
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """--device."""
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1 ...; auto takes a GPU if there is one")


def add_cluster(parser: argparse.ArgumentParser, num_workers: int | None = None) -> Any:
    """Where a run on Ray runs; returns the group of these arguments."""
    where = parser.add_argument_group("where it runs")
    if num_workers is None:
        told = "Ray workers (in this process, without Ray, if left out)"
        where.add_argument("--num-workers", type=int, metavar="N", help=told)
    else:
        told = f"Ray workers, or as many of MIN to MAX as the cluster has room for ({num_workers})"
        where.add_argument("--num-workers", type=_workers, default=num_workers, metavar="N|MIN:MAX", help=told)
    where.add_argument("--use-gpu", action="store_true", help="one GPU for each worker")
    where.add_argument(
        "--resources-per-worker", type=amounts, metavar="CPU=4,GPU=1", help="what Ray gives each worker (as it fits)"
    )
    where.add_argument("--workers-on", type=labels, metavar="KEY=VALUE", help="only on nodes with this label")
    where.add_argument(
        "--data-on",
        type=_data_nodes,
        metavar="KEY=VALUE|worker",
        help="read and augment on nodes with this label, or on the node of each worker",
    )
    where.add_argument("--address", metavar="URL", help="Ray cluster to join; a new one on this machine if left out")
    where.add_argument("--carrier", choices=("ray", "torch"), default="ray", help="what reads: Ray Data or DataLoader")
    where.add_argument("--verbose", action="store_true", help="also show what Ray itself has to say")
    return where


def cluster_options(args: argparse.Namespace) -> dict[str, Any]:
    """The arguments of `add_cluster` as those of `raydet.train` and `raydet.distributed.test`."""
    if args.verbose:
        from raydet.distributed.settings import VERBOSE_VARIABLE

        os.environ[VERBOSE_VARIABLE] = "1"
    return {
        "num_workers": args.num_workers,
        "use_gpu": args.use_gpu,
        "resources_per_worker": args.resources_per_worker,
        "worker_label_selector": args.workers_on,
        "data_label_selector": args.data_on,
        "address": args.address,
        "carrier": args.carrier,
    }


def _workers(text: str) -> int | str:
    return int(text) if text.isdigit() else text


def _data_nodes(text: str) -> dict[str, str] | str:
    return text if text == "worker" else labels(text)


def labels(text: str) -> dict[str, str]:
    """`pool=data,zone=in(a,b)` as a dict.

    Raises:
        ArgumentTypeError: it is written in another way.
    """
    pairs = [pair.partition("=") for pair in re.split(r",(?![^(]*\))", text)]
    if not all(key and mark and value for key, mark, value in pairs):
        raise argparse.ArgumentTypeError(f"expected KEY=VALUE or KEY=VALUE,KEY=VALUE, got {text!r}")
    return {key.strip(): value.strip() for key, _, value in pairs}


def amounts(text: str) -> dict[str, float]:
    """`CPU=4,GPU=1` as a dict of numbers.

    Raises:
        ArgumentTypeError: it is written in another way.
    """
    try:
        found = {name: float(value) for name, value in labels(text).items()}
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected numbers as in CPU=4,GPU=1, got {text!r}") from None
    if any(value < 0 for value in found.values()):
        raise argparse.ArgumentTypeError(f"resources cannot be negative, got {text!r}")
    return found


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Failures of runs on a cluster are told without a traceback.

    Raises:
        RunFailed: the run failed although it was asked for rightly.
    """
    from raydet.distributed import TrainingFailed

    try:
        yield
    except TrainingFailed as error:
        raise RunFailed(str(error)) from error


def add_evaluation(parser: argparse.ArgumentParser) -> None:
    """What to measure, and on which data."""
    from raydet.config import DictAction

    parser.add_argument("--eval", nargs="+", metavar="METRIC", help="bbox, segm, proposal, mAP ...; else the config's")
    parser.add_argument("--eval-options", nargs="+", action=DictAction, default={}, metavar="KEY=VALUE")
    parser.add_argument("--format-only", action="store_true", help="write files for a test server instead of measuring")
    parser.add_argument("--split", choices=("test", "val"), default="test", help="data.test or data.val of the config")


def load_config(args: argparse.Namespace, path: Any = None) -> Any:
    """The config that the arguments name, with the changes that they ask for."""
    from raydet.config import Config

    cfg = Config.fromfile(args.config if path is None else path, trust=args.trust_config)
    cfg.merge_from_dict(args.cfg_options)
    return cfg


def resolve_device(name: str) -> str:
    """The device that --device means here."""
    if name != "auto":
        return name
    from raydet.engine.environment import default_device

    return default_device().type
