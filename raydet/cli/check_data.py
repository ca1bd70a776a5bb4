"""`raydet check-data`: scan a data set for broken images and annotations."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from raydet.cli.options import add_config, load_config

EXAMPLES = """examples:
  raydet check-data my_config.py
  raydet check-data my_config.py --split all --html report.html
  raydet check-data my_config.py --no-images --json | jq '.[].findings'

Exit codes: 0 no errors, 1 errors in the data, 2 wrong use."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_config(parser)
    parser.add_argument("--split", choices=("train", "val", "test", "all"), default="train", help="of data (train)")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--html", metavar="FILE", help="also write a page with pictures of examples")
    parser.add_argument("--no-images", action="store_true", help="look at annotations only")
    parser.add_argument("--num-workers", type=int, metavar="N", help="images at a time; the number of CPUs if left out")
    parser.add_argument("--examples", type=int, default=5, metavar="N", help="examples of each finding (5)")


def run(args: argparse.Namespace) -> int:
    """Print the report; 1 if there are errors."""
    cfg = load_config(args)
    from raydet.analysis import check_config_data, html_page, text_report

    every = [split for split in ("train", "val", "test") if cfg["data"].get(split) is not None]
    reports = check_config_data(
        cfg,
        every if args.split == "all" else [args.split],
        decode=not args.no_images,
        num_workers=args.num_workers,
        max_examples=args.examples,
    )
    if args.json:
        print(json.dumps([report.as_dict() for report in reports], indent=2))
    else:
        print("\n\n".join(map(text_report, reports)))
    if args.html:
        Path(args.html).write_text(html_page(reports), encoding="utf-8")
    return 1 if any(report.num_errors for report in reports) else 0
