"""Arguments that several subcommands take."""

from __future__ import annotations

import argparse
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
