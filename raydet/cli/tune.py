"""`raydet tune`: search the settings of a config, go on with a search, rebuild its report."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from raydet.cli.options import RunFailed

EXAMPLES = """examples:
  raydet tune lr_and_schedule
  raydet tune my_sweep.yaml --num-trials 50 --set options.runner.max_epochs=6
  raydet tune my_sweep.yaml --set 'space.optimizer.lr={loguniform: [1e-4, 1e-2]}' --dry-run 5
  raydet tune my_sweep.yaml --resume
  raydet tune my_sweep.yaml --track tensorboard mlflow --storage /data/sweeps --name first
  raydet tune report tune_results/my_sweep
  raydet tune --schema > sweep.schema.json
  ray job submit --working-dir . -- raydet tune my_sweep.yaml

The folder of a sweep holds ledger.jsonl, from which all else can be rebuilt, a run folder for each trial in trials/,
trials.parquet, leaderboard.md, report.html, plots/ and best_config.py, which `raydet train` takes as it is."""
STORAGE = "tune_results"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("file", nargs="?", metavar="FILE", help="sweep file, name of a shipped one, or `report`")
    parser.add_argument("folder", nargs="?", metavar="DIR", help="of the sweep; for `raydet tune report DIR` alone")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="change the file")
    parser.add_argument("--num-trials", type=int, metavar="N", help="points to try; the file's if left out")
    parser.add_argument("--seed", type=int, metavar="N", help="of all random draws; the file's if left out")
    look = parser.add_argument_group("looking before it runs")
    look.add_argument(
        "--dry-run", nargs="?", type=int, const=8, metavar="N", help="draw and check N points (8), and run none"
    )
    look.add_argument("--schema", action="store_true", help="print the JSON schema of sweep files, for editors")
    folder = parser.add_argument_group("what it writes, and what it goes on from")
    folder.add_argument("--storage", default=STORAGE, metavar="DIR", help=f"folder of all sweeps ({STORAGE})")
    folder.add_argument("--name", metavar="NAME", help="of the sweep and its folder; the file's if left out")
    folder.add_argument("--resume", action="store_true", help="go on with the sweep of that name")
    folder.add_argument("--track", nargs="+", metavar="WHERE", help="also write to tensorboard, mlflow")
    where = parser.add_argument_group("where it runs")
    where.add_argument("--local", action="store_true", help="one trial after the other in this process, without Ray")
    where.add_argument("--address", metavar="URL", help="Ray cluster to join; a new one on this machine if left out")


def run(args: argparse.Namespace) -> int:
    """Do what was asked for."""
    if args.schema:
        from raydet.search.schema import schema

        print(json.dumps(schema(), indent=2))
        return 0
    if args.file == "report":
        return _report(args.folder)
    if args.file is None or args.folder is not None:
        raise ValueError(
            "give one sweep file: raydet tune FILE; or the folder of a sweep: raydet tune report DIR "
            "(raydet tune --help has examples)"
        )
    sweep = _sweep(args)
    if args.dry_run is not None:
        from raydet.search.dry_run import dry_run

        return 1 if dry_run(sweep, args.dry_run) else 0
    return _tune(sweep, args)


def _report(folder: str | None) -> int:
    from raydet.search.report.files import PAGE, write_report

    if folder is None:
        raise ValueError("which sweep? raydet tune report DIR, with DIR such as tune_results/my_sweep")
    view = write_report(folder)
    _summarize(view)
    print(f"report: {Path(folder, PAGE)}")
    return 0


def _summarize(view: Any) -> None:
    from raydet.search.report.tables import outcome

    print("\n".join(outcome(view)))


def _sweep(args: argparse.Namespace) -> Any:
    from raydet.search.file import load_sweep, parse_changes

    given = {"num_trials": args.num_trials, "seed": args.seed, "name": args.name, "track": args.track}
    changes = {**parse_changes(args.set), **{key: value for key, value in given.items() if value is not None}}
    return load_sweep(args.file, changes)


def _tune(sweep: Any, args: argparse.Namespace) -> int:
    """Run the sweep, write its report, and say what came out and what can be done with it."""
    from raydet.search.live import LiveTable
    from raydet.search.report.files import BEST_CONFIG, PAGE, write_report
    from raydet.search.run import run_sweep

    folder = Path(args.storage, sweep.name)
    table = LiveTable()
    try:
        result = run_sweep(
            sweep,
            folder,
            resume=args.resume,
            local=args.local,
            address=args.address,
            callbacks=[table],
            say=table.say,
        )
    finally:
        table.close()
    view = write_report(folder)
    _summarize(view)
    print(f"report: {folder / PAGE}")
    if result.interrupted:
        print(f"raydet: interrupted; go on with: {_again(args)}", file=sys.stderr)
        return 130
    if result.best is None:
        raise RunFailed(f"no trial came to a result; {folder / PAGE} says why each failed")
    print(f"next: raydet train {folder / BEST_CONFIG}")
    return 0


def _again(args: argparse.Namespace) -> str:
    """The command that goes on with an interrupted sweep."""
    import shlex

    given = sys.argv[1:] if "tune" in sys.argv[1:] else ["tune", args.file]
    return shlex.join(["raydet", *(word for word in given if word != "--resume"), "--resume"])
