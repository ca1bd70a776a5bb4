"""Compare a run on one Ray worker, fed by Ray Data, with the same run in one process, and show how a run starts.

    python tools/bench_ray.py [--rounds 2] [--epochs 2] [CONFIG]

Rounds alternate local, Ray, local, Ray. Speed is steps per second of wall time from the training log, without the first
logged interval, which pays for warming up. Prints a CSV row per run and the ratio of the medians (Ray over local).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

INTERVAL = 5  # steps per line of the log


def run(config: str, folder: Path, epochs: int, *arguments: str) -> dict[str, Any]:
    """Train once in a process of its own; steps per second, startup phases and seconds in all."""
    options = [
        f"runner.max_epochs={epochs}",
        f"log_config.interval={INTERVAL}",
        "evaluation=None",
        "data.samples_per_gpu=2",
    ]
    command = [sys.executable, "-m", "raydet.cli", "train", config, "--work-dir", str(folder), *arguments]
    start = time.monotonic()
    finished = subprocess.run([*command, "--cfg-options", *options], capture_output=True, text=True)
    if finished.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{finished.stdout[-2000:]}{finished.stderr[-2000:]}")
    lines = [json.loads(line) for log in folder.glob("*.log.json") for line in log.read_text().splitlines()]
    steps = [line["time"] for line in lines if line.get("mode") == "train"][1:]
    startup: dict[str, float] = next((line["startup"] for line in lines if "startup" in line), {})
    return {"steps_per_s": 1 / statistics.median(steps), "startup": startup, "seconds": time.monotonic() - start}


def main() -> None:
    """Run the rounds and print rows, startup phases and the ratio."""
    parser = argparse.ArgumentParser(description="Steps per second on one Ray worker over those in one process.")
    parser.add_argument("config", nargs="?", default="nuclei_mask_rcnn")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=2)
    args = parser.parse_args()
    ways = {"local": ["--local"], "ray": ["--num-workers", "1"]}
    speeds: dict[str, list[float]] = {way: [] for way in ways}
    print("way,steps_per_s,seconds_in_all,startup")
    for number in range(args.rounds):
        for way, arguments in ways.items():
            with tempfile.TemporaryDirectory() as folder:
                result = run(args.config, Path(folder) / f"run{number}", args.epochs, *arguments)
            speeds[way].append(result["steps_per_s"])
            phases = " ".join(f"{name}={seconds:.1f}" for name, seconds in result["startup"].items())
            print(f"{way},{result['steps_per_s']:.3f},{result['seconds']:.0f},{phases}", flush=True)
    ratio = statistics.median(speeds["ray"]) / statistics.median(speeds["local"])
    print(f"ratio ray / local: {ratio:.3f}")


if __name__ == "__main__":
    main()
