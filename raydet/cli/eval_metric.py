"""`raydet eval-metric`: measure results that a test wrote to a file."""

from __future__ import annotations

import argparse

from raydet.cli.options import add_config, add_evaluation, load_config

EXAMPLES = """examples:
  raydet test my_config.py epoch_12.pth --out results.pkl --eval bbox
  raydet eval-metric results.pkl my_config.py --eval bbox segm --eval-options classwise=True
  raydet eval-metric results.parquet my_config.py --format-only --eval-options jsonfile_prefix=submission/results"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("results", metavar="RESULTS", help="file that `raydet test --out` wrote: .pkl, .json, .parquet")
    add_config(parser)
    add_evaluation(parser)


def run(args: argparse.Namespace) -> int:
    """Print the numbers."""
    cfg = load_config(args)
    from raydet.engine import evaluate_file

    metrics = evaluate_file(
        cfg,
        args.results,
        eval_metrics=args.eval,
        eval_options=args.eval_options,
        format_only=args.format_only,
        split=args.split,
    )
    for name, value in metrics.items():
        print(f"{name}: {value}")
    return 0
