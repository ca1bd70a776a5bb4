"""`raydet runs`: the runs in a storage."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from raydet.cli.tables import local_time, table
from raydet.distributed.words import duration

if TYPE_CHECKING:
    from raydet.distributed.runs import Run

EXAMPLES = """examples:
  raydet runs
  raydet runs /data/runs --state running lost
  raydet runs s3://bucket/runs --json"""

STATES = ("running", "finished", "failed", "interrupted", "lost", "unknown")
_HEADER = ("RUN", "STATE", "PROGRESS", "BEST", "RESTARTS", "STARTED", "DURATION")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("storage", nargs="?", default="work_dirs", metavar="STORAGE", help="folder or URI (work_dirs)")
    parser.add_argument("--state", nargs="+", choices=STATES, metavar="STATE", help=f"only these: {', '.join(STATES)}")
    parser.add_argument("--json", action="store_true", help="print all that is known, as JSON")


def run(args: argparse.Namespace) -> int:
    """Print the runs, the one that was started last first."""
    from raydet.distributed.runs import list_runs

    runs = [each for each in list_runs(args.storage) if not args.state or each.state() in args.state]
    if args.json:
        print(json.dumps([as_dict(each) for each in runs], indent=1))
    elif runs:
        print(table(_HEADER, [_row(each) for each in runs]))
    else:
        print(f"no runs in {args.storage}" + (f" that are {' or '.join(args.state)}" if args.state else ""))
    return 0


def as_dict(run: Run) -> dict[str, Any]:
    """All that is known of a run, for JSON."""
    known = run.standing.to_dict() if run.standing else {}
    return {**known, "name": run.name, "folder": str(run.folder), "state": run.state()}


def _row(run: Run) -> tuple[str, ...]:
    standing = run.standing
    if standing is None:
        return run.name, run.state(), "-", "-", "-", "-", "-"
    best = f"{standing.best['name']} {standing.best['value']:.4f}" if standing.best else "-"
    spent = duration(standing.updated - standing.started)
    started = local_time(standing.started)
    return run.name, run.state(), progress(run), best, str(standing.restarts), started, spent


def progress(run: Run) -> str:
    """How far a run is, such as `epoch 3/12 25 %`."""
    standing = run.standing
    if standing is None or standing.progress is None:
        return "-"
    epochs = f"epoch {standing.epoch}/{standing.max_epochs}" if standing.max_epochs else f"iteration {standing.iter}"
    return f"{epochs} {100 * standing.progress:.0f} %"
