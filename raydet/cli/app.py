"""The command line: finds the subcommand, runs it, turns errors into one line and an exit code.

A subcommand is a module of this package with `add_arguments(parser)`, `run(args)` and, if it has any, `EXAMPLES`.
Only the one that is asked for is imported, and it imports torch and Ray in `run`, so that help comes at once.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from types import ModuleType

from raydet import __version__
from raydet.cli.options import RunFailed

COMMANDS = {
    "train": "train a detector on Ray workers, or with --local in this process",
    "tune": "search learning rates, anchors, losses and other settings of a config",
    "submit": "train as a job of a running cluster; look after such jobs",
    "runs": "list the runs in a storage",
    "status": "show how a run stands and where its time went",
    "test": "run a checkpoint over a data set and measure it",
    "eval-metric": "measure results that a test wrote to a file",
    "infer": "find objects in pictures",
    "convert": "turn a data set into Parquet files",
    "checkpoint": "look into checkpoints; convert, publish and upgrade them",
    "config": "print a whole config, or check it",
    "doctor": "show what this machine offers and what is missing",
    "check-data": "scan a data set for broken images and annotations",
    "replay": "repeat the step of a training whose loss was not finite",
    "optimize-anchors": "fit the anchors of a config to the boxes of its training data",
    "browse": "draw what each step of a pipeline makes of the images",
    "cluster": "make and check cluster files; simulate a cluster on this machine",
    "up": "make a Ray cluster of machines that are reached by ssh",
    "down": "end a cluster that `raydet up` made",
    "demo": "train, evaluate and draw on a small real data set that comes with raydet",
}
EXAMPLES = """examples:
  raydet demo nuclei
  raydet train retinanet_r50_fpn_1x_coco --num-workers 2 --cfg-options data.samples_per_gpu=4
  raydet tune my_sweep.yaml --num-trials 50
  raydet test retinanet_r50_fpn_1x_coco work_dirs/my-run --eval bbox
  raydet infer street.jpg holiday/ --run work_dirs/my-run --out drawn/
  raydet config retinanet_r50_fpn_1x_coco --check
  raydet check-data my_config.py --html report.html

`raydet COMMAND --help` has more on each.
Exit codes: 0 done, 1 failed or problems found, 2 wrong use, 130 interrupted."""
USER_ERRORS = (ValueError, TypeError, LookupError, OSError, ImportError)
"""What wrong input leads to."""
FAILURES = (RunFailed, FloatingPointError)
"""What a run may end with, such as lost workers and losses that are not finite.

Anything else is a fault of raydet and shows its traceback.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (that of the process when left out) and return the exit code."""
    argv = sys.argv[1:] if argv is None else argv
    parser, modules = _parser(next((word for word in argv if word in COMMANDS), None))
    args = parser.parse_args(argv)
    debug = getattr(args, "debug", False) or os.environ.get("RAYDET_DEBUG", "0") not in ("", "0")
    try:
        return int(modules[args.command].run(args) or 0)
    except KeyboardInterrupt:
        print("raydet: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as in `raydet config X | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (*USER_ERRORS, *FAILURES) as error:
        if debug:
            raise
        print(f"raydet: error: {describe(error)}", file=sys.stderr)
        return 1 if isinstance(error, FAILURES) else 2


def _parser(command: str | None) -> tuple[_Parser, dict[str, ModuleType]]:
    """The parser with the arguments of `command` filled in, and its module."""
    shared = _Parser(add_help=False)
    shared.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help="show tracebacks of errors")
    parser = _Parser(
        "raydet",
        description="Train, tune and serve object detectors on Ray; MMDetection 2.x configs run unchanged.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[shared],
    )
    parser.add_argument("--version", action="version", version=f"raydet {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=_Parser)
    modules = {}
    for name, summary in COMMANDS.items():
        if name != command:
            commands.add_parser(name, help=summary, parents=[shared])
            continue
        modules[name] = importlib.import_module(f"raydet.cli.{name.replace('-', '_')}")
        modules[name].add_arguments(
            commands.add_parser(
                name,
                help=summary,
                description=f"{summary[0].upper()}{summary[1:]}.",
                epilog=getattr(modules[name], "EXAMPLES", None),
                formatter_class=argparse.RawDescriptionHelpFormatter,
                parents=[shared],
            )
        )
    return parser, modules


class _Parser(argparse.ArgumentParser):
    """Reports wrong use in the form of all errors."""

    def error(self, message: str) -> None:  # type: ignore[override]
        self.print_usage(sys.stderr)
        self.exit(2, f"raydet: error: {message}\n")


def describe(error: BaseException) -> str:
    """What to tell the user of an error."""
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    if " " not in text.strip():  # a bare key or nothing: say at least what kind of error it was
        return f"{type(error).__name__}: {text} (--debug shows where)"
    return text
