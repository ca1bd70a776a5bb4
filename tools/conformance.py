"""Compare raydet with the packs of reference numbers and fail when something that passed no longer does.

    python tools/conformance.py [--seconds N | --all] [--update] [--packs DIR]

`tests/conformance/parts.txt` lists the component cases that pass, `tests/conformance/models.txt` the model fixtures
with the levels that pass. Both may only grow: `--update` adds what passes now and refuses to drop a line. Without the
packs there is nothing to compare with, which is said, and the exit code is 0.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LISTS = ROOT / "tests" / "conformance"
LEVELS = ("build", "keys", "forward", "loss", "grad", "test")


def run_checker(packs: Path, script: str, *arguments: str) -> Any:
    """Run one of the pack's checkers and return what it wrote as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "report.json"
        command = [sys.executable, str(packs / script), "--json", str(out), *arguments]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "ops")])}
        finished = subprocess.run(command, env=environment, capture_output=True, text=True)
        if not out.exists():
            raise SystemExit(f"{script} gave no report:\n{finished.stdout[-2000:]}{finished.stderr[-2000:]}")
        return json.loads(out.read_text())


def passing_parts(packs: Path) -> dict[str, str]:
    """Component cases: id -> "ok", or why not."""
    report = run_checker(packs, "check_parts.py", "--quiet")
    return {case["id"]: "ok" if case["status"] == "ok" else str(case["why"]) for case in report["cases"]}


def model_levels(packs: Path, names: list[str], level: str) -> dict[str, dict[str, str]]:
    """Model fixtures: name -> level -> "ok", or why not."""
    if not names:
        return {}
    report = run_checker(packs, "check_models.py", "--only", ",".join(names), "--level", level)
    return {name: dict(entry["levels"]) for name, entry in report.items()}


def read_list(name: str) -> dict[str, set[str]]:
    """A list file: first word -> set of the other words."""
    path = LISTS / name
    lines = path.read_text().splitlines() if path.exists() else []
    return {words[0]: set(words[1:]) for words in map(str.split, lines) if words and not words[0].startswith("#")}


def write_list(name: str, entries: dict[str, set[str]]) -> None:
    lines = [" ".join([key, *(level for level in LEVELS if level in entries[key])]) for key in sorted(entries)]
    (LISTS / name).write_text("\n".join(lines) + "\n")


def check_parts(packs: Path, update: bool) -> list[str]:
    """Messages about component cases that no longer pass."""
    listed, now = read_list("parts.txt"), passing_parts(packs)
    passing = {case: set[str]() for case, status in now.items() if status == "ok"}
    lost = [f"{case}: {now.get(case, 'no such case')}" for case in listed if case not in passing]
    print(f"components: {len(passing)} of {len(now)} cases pass, {len(listed)} listed, {len(lost)} lost")
    if update and not lost:
        write_list("parts.txt", passing)
    return lost


def check_models(packs: Path, seconds: float | None, update: bool) -> list[str]:
    """Messages about model fixtures that lost a level: keys of all, numerics of as many as fit into `seconds`."""
    listed = read_list("models.txt")
    everything = sorted(path.name.removesuffix(".fx.json.gz") for path in (packs / "models").glob("*.fx.json.gz"))
    # What is new comes first, and is written down at once: an update may be stopped.
    names = sorted(everything, key=lambda name: name in listed) if update else sorted(listed)
    lost = _lost_levels(listed, model_levels(packs, names, "keys")) if not update else []
    checked: dict[str, dict[str, str]] = {}
    deadline = time.monotonic() + (float("inf") if seconds is None or update else seconds)
    for name in names:
        if time.monotonic() > deadline:
            break
        checked |= model_levels(packs, [name], "all")
        if update:
            add_levels(name, checked[name])
    lost += _lost_levels(listed, checked)
    print(f"models: keys of {len(names)}, numbers of {len(checked)} of {len(names)} fixtures, {len(lost)} levels lost")
    return lost


def add_levels(name: str, levels: dict[str, str]) -> None:
    """List the levels that a fixture passes, if its keys are right; none is taken off the list."""
    passing = {level for level, text in levels.items() if text == "ok"}
    if "keys" in passing:
        listed = read_list("models.txt")
        write_list("models.txt", {**listed, name: listed.get(name, set()) | passing})


def _lost_levels(listed: dict[str, set[str]], now: dict[str, dict[str, str]]) -> list[str]:
    return [
        f"{name} {level}: {text}"
        for name, levels in now.items()
        for level, text in levels.items()
        if level in listed.get(name, ()) and text != "ok"
    ]


def main() -> int:
    """Check, print every loss, exit 1 when there is one."""
    parser = argparse.ArgumentParser(description="Fail when something that agreed with the reference no longer does.")
    parser.add_argument("--packs", type=Path, default=ROOT.parent / "shared" / "conformance")
    parser.add_argument("--seconds", type=float, default=180, help="time for the numbers of model fixtures")
    parser.add_argument("--all", action="store_true", help="the numbers of every listed fixture")
    parser.add_argument("--update", action="store_true", help="try everything and add what passes to the lists")
    args = parser.parse_args()
    if not args.packs.exists():
        print(f"no reference numbers at {args.packs}: nothing compared")
        return 0
    lost = check_parts(args.packs, args.update)
    lost += check_models(args.packs, None if args.all else args.seconds, args.update)
    print("\n".join(f"LOST {message}" for message in lost))
    return 1 if lost else 0


if __name__ == "__main__":
    raise SystemExit(main())
