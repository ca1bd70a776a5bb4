"""`raydet config`: print a whole config, or list everything that is wrong with it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from raydet.cli.options import add_config, load_config

if TYPE_CHECKING:
    from raydet.config import Config

EXAMPLES = """examples:
  raydet config retinanet_r50_fpn_1x_coco
  raydet config my_config.py --check
  raydet config my_config.py --cfg-options optimizer.lr=0.01 --out changed.py"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_config(parser)
    parser.add_argument("--check", action="store_true", help="list all unknown names and wrong arguments instead")
    parser.add_argument("--out", metavar="FILE", help="write it to a .py, .yaml or .json file instead")


def run(args: argparse.Namespace) -> int:
    """Print, write or check the config."""
    cfg = load_config(args)
    if args.check:
        return _check(cfg)
    if args.out:
        cfg.dump(args.out)
        print(f"wrote {args.out}")
    else:
        print(cfg.pretty_text.rstrip())
    return 0


def _check(cfg: Config) -> int:
    from raydet.config import check_config

    problems = check_config(cfg)
    for problem in problems:
        print(problem)
    print(f"{len(problems)} problem{'s' if len(problems) > 1 else ''} found" if problems else "no problems found")
    return 1 if problems else 0
