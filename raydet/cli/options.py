"""Arguments that several subcommands take."""

from __future__ import annotations

import argparse
import contextlib
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
    default = "in this process, without Ray, if left out" if num_workers is None else str(num_workers)
    where.add_argument("--num-workers", type=int, default=num_workers, metavar="N", help=f"Ray workers ({default})")
    where.add_argument("--use-gpu", action="store_true", help="one GPU for each worker")
    where.add_argument("--address", metavar="URL", help="Ray cluster to join; a new one on this machine if left out")
    where.add_argument("--carrier", choices=("ray", "torch"), default="ray", help="what reads: Ray Data or DataLoader")
    return where


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
