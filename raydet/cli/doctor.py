"""`raydet doctor`: what this machine offers and what is missing."""

from __future__ import annotations

import argparse

EXAMPLES = """examples:
  raydet doctor
  raydet doctor --ray"""
MARKS = {"ok": " ", "note": "!", "bad": "X"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--ray", action="store_true", help="also start Ray on this machine and run a task (seconds)")


def run(args: argparse.Namespace) -> int:
    """Print what the checks find; 1 if something is missing that raydet needs."""
    from raydet import __version__
    from raydet.cli import checks

    print(f"raydet {__version__}")
    groups = [
        checks.check_python,
        checks.check_packages,
        checks.check_devices,
        checks.check_folders,
        checks.check_operators,
        checks.check_shipped,
        *([checks.check_ray] if args.ray else []),
    ]
    states = []
    for group in groups:
        try:
            for finding in group():
                print(f"{MARKS[finding.state]} {finding.name:<20} {finding.text}")
                states.append(finding.state)
        except Exception as error:  # a broken package must not hide what the other checks find
            print(f"{MARKS['bad']} {group.__name__.removeprefix('check_'):<20} {type(error).__name__}: {error}")
            states.append("bad")
    bad, notes = states.count("bad"), states.count("note")
    print(f"{bad} problems (X), {notes} notes (!)" if bad or notes else "all is well")
    return 1 if bad else 0
