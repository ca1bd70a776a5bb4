"""What a sweep costs beside its trainings.

    python -m tools.bench_tune [fake] [ratio] [overhead] [--trials 6] [--rounds 2] [--out docs/numbers/sweep_cost.csv]

fake: 1,000 trials that train nothing: trials per second, and the driver's memory after 200 and after all of them.
ratio: trials per minute against a `ray.tune.Tuner` written by hand around the same training, on the same cluster, in
changing order. overhead: seconds per trial of a sweep, Ray's start and the report included, over `raydet train --local`
of the same config in a process of its own, with as many threads.
"""

from __future__ import annotations

import argparse
import copy
import csv
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from raydet.config import Config
from raydet.engine import LocalEnvironment, run_training
from raydet.search.events import SweepWatcher
from raydet.search.file import Sweep, load_sweep
from raydet.search.records import TrialRecord
from raydet.search.run import run_sweep
from raydet.search.task import ReportFunction, TrialTask

CONFIG = "demo/nuclei_retinanet"
OPTIONS = {"runner.max_epochs": 3, "data.train.times": 2, "log_level": "ERROR", "data.workers_per_gpu": 0}
LR = (5e-4, 5e-3)
FAKE_TRIALS, WARM = 1000, 200
Row = dict[str, Any]


def main() -> None:
    """Run what was asked for and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=f"any of {', '.join(PARTS)}")
    parser.add_argument("--trials", type=int, default=6, help="of each real sweep")
    parser.add_argument("--rounds", type=int, default=2, help="of ratio and overhead")
    parser.add_argument("--out", type=Path, help="write the rows to this file")
    args = parser.parse_args()
    rows = [row for part in args.parts for row in PARTS[part](args)]
    for row in rows:
        print(", ".join(f"{name} {value}" for name, value in row.items()))
    if args.out:
        with args.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["what", "value", "unit", "load"], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def row(what: str, value: float, unit: str) -> Row:
    """A figure with the load of the machine at its end."""
    return {"what": what, "value": round(value, 3), "unit": unit, "load": round(os.getloadavg()[0], 1)}


def real_sweep(folder: Path, trials: int) -> Sweep:
    """Trainings of a few seconds from random learning rates, each to its end."""
    values = {
        "base": CONFIG,
        "objective": {"metric": "bbox_mAP"},
        "num_trials": trials,
        "options": OPTIONS,
        "space": {"optimizer.lr": {"loguniform": list(LR)}},
        "search": {"sampler": "random"},
        "trial": {"cpus": 1, "carrier": "torch"},
    }
    (folder / "bench.yaml").write_text(yaml.safe_dump(values))
    return load_sweep(folder / "bench.yaml")


def timed(call: Callable[[], Any]) -> float:
    """Seconds of wall time."""
    begin = time.monotonic()
    call()
    return time.monotonic() - begin


# ---- 1,000 trials that train nothing ---------------------------------------------------------------------------------


def nothing(task: TrialTask, report: ReportFunction) -> None:
    """Reports what was drawn."""
    report(1, {"score": task.params["x"]})


class Resident(SweepWatcher):
    """Resident memory of the driver in MB, by the number of trials that have ended (Linux)."""

    def __init__(self) -> None:
        self.megabytes: list[float] = []

    def trial_ended(self, record: TrialRecord) -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        self.megabytes.append(pages * os.sysconf("SC_PAGE_SIZE") / 2**20)


def fake(args: argparse.Namespace) -> list[Row]:
    """Trials per second and memory of the driver."""
    resident = Resident()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "base.py").write_text("x = 0.0\nrunner = dict(type='EpochBasedRunner', max_epochs=1)\n")
        space = {"x": {"uniform": [0.0, 1.0]}}
        values = {"base": "base.py", "objective": {"metric": "score"}, "num_trials": FAKE_TRIALS, "space": space}
        (folder / "fake.yaml").write_text(yaml.safe_dump({**values, "search": {"sampler": "random"}}))
        sweep = load_sweep(folder / "fake.yaml")
        seconds = timed(partial(run_sweep, sweep, folder / "sweep", function=nothing, callbacks=[resident]))
    return [
        row("fake trials", FAKE_TRIALS / seconds, "per second, Ray's start included"),
        row("driver after 200 fake trials", resident.megabytes[WARM - 1], "MB"),
        row("driver after 1,000 fake trials", resident.megabytes[-1], "MB"),
    ]


# ---- against a Tuner written by hand ---------------------------------------------------------------------------------


class TuneEnvironment(LocalEnvironment):
    """Reports to Ray Tune."""

    def report(
        self, metrics: Mapping[str, Any], checkpoint: Path | None, evaluate: Mapping[str, Any] | None = None
    ) -> None:
        from ray import tune

        tune.report({"bbox_mAP": metrics.get("bbox_mAP", 0.0)})


def by_hand(base: Config, trials: int, concurrent: int, folder: Path) -> None:
    """What one writes without raydet's sweeps."""
    from ray import tune

    from raydet.datasets import build_carrier

    def train(config: dict[str, Any]) -> None:
        cfg = copy.deepcopy(base)
        cfg.merge_from_dict({"optimizer.lr": config["lr"], "seed": 0})
        run_training(cfg, TuneEnvironment(tempfile.mkdtemp(dir=folder), "cpu"), build_carrier)

    tune.Tuner(
        tune.with_resources(train, {"CPU": 1}),
        param_space={"lr": tune.loguniform(*LR)},
        tune_config=tune.TuneConfig(num_samples=trials, max_concurrent_trials=concurrent),
        run_config=tune.RunConfig(name="by_hand", storage_path=str(folder), verbose=0),
    ).fit()


def ratio(args: argparse.Namespace) -> list[Row]:
    """Trials per minute of a sweep over those of a Tuner, on one cluster that both find there."""
    from raydet.distributed.cluster import connected

    ratios = []
    with connected(None, dashboard=True), tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        sweep = real_sweep(folder, args.trials)
        concurrent = os.cpu_count() or 1
        seconds: dict[str, float] = {}
        for number in range(args.rounds):
            hand = folder / f"hand{number}"
            hand.mkdir()
            ways: list[tuple[str, Callable[[], Any]]] = [
                ("sweep", partial(run_sweep, sweep, folder / f"sweep{number}")),
                ("by hand", partial(by_hand, sweep.config, args.trials, concurrent, hand)),
            ]
            for name, call in ways if number % 2 else ways[::-1]:
                seconds[name] = timed(call)
                print(f"{name}: {seconds[name]:.0f} s for {args.trials} trials", flush=True)
            ratios.append(seconds["by hand"] / seconds["sweep"])
    return [row("trials per minute over those of a Tuner by hand", statistics.median(ratios), "ratio, median")]


# ---- over a bare training --------------------------------------------------------------------------------------------


def overhead(args: argparse.Namespace) -> list[Row]:
    """Seconds of a trial, one at a time, over those of a training alone."""
    alone, more = [], []
    for _ in range(args.rounds):
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            real_sweep(folder, args.trials)
            options = [f"{key}={value}" for key, value in OPTIONS.items()]
            train = ["train", CONFIG, "--local", "--work-dir", str(folder / "bare"), "--cfg-options", *options]
            tune = ["tune", str(folder / "bench.yaml"), "--storage", scratch, "--set", "trial.concurrent=1"]
            alone.append(timed(partial(raydet, train)))
            more.append(timed(partial(raydet, tune)) / args.trials - alone[-1])
    bare = f"s, median; bare {statistics.median(alone):.0f}"
    return [row("seconds of a trial over a bare training", statistics.median(more), bare)]


def raydet(arguments: Sequence[str]) -> None:
    """Run a command of raydet in a process of its own, with one thread, as a trial of one CPU has it."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-m", "raydet.cli", *arguments], env=environment, check=True, capture_output=True)


PARTS: Mapping[str, Callable[[argparse.Namespace], list[Row]]] = {"fake": fake, "ratio": ratio, "overhead": overhead}


if __name__ == "__main__":
    main()
