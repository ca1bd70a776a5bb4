"""Time the operators against torchvision's and against their plain versions.

    python -m tools.bench_ops [--only focal nms] [--rounds 7] [--device cuda] [--threads 2] [--csv docs/numbers/ops.csv]

Ours and its peers take turns in one process, so that a busy machine slows all alike. On a CPU the clock is wall time at
the given number of threads, on CUDA the same around a synchronisation. A ratio is the median of ours over that of the
peer: below 1 ours is faster.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import pkgutil
import statistics
import time
from pathlib import Path

import torch

from tools import op_bench
from tools.op_bench.case import Case, Run

MODULES = sorted(m.name for m in pkgutil.iter_modules(op_bench.__path__) if m.name != "case")


def measure(case: Case, rounds: int, device: str) -> dict[str, float]:
    """Median seconds of ours and of every peer, taking turns."""
    runs = {"raydet": case.ours, **case.peers}
    for run in runs.values():
        seconds(run, device)
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            times[name].append(seconds(run, device))
    return {name: statistics.median(values) for name, values in times.items()}


def seconds(run: Run, device: str) -> float:
    """Time of one run."""
    start = time.perf_counter()
    run()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def rows(case: Case, medians: dict[str, float]) -> list[list[str]]:
    """One row per peer."""
    ours = medians["raydet"]
    return [
        [
            case.name,
            peer,
            f"{ours * 1000:.3f}",
            f"{medians[peer] * 1000:.3f}",
            f"{ours / medians[peer]:.3f}",
            goal(case, peer),
        ]
        for peer in case.peers
    ]


def goal(case: Case, peer: str) -> str:
    """The ratio that ours should not exceed."""
    return f"{1 / case.goals[peer]:.3f}" if peer in case.goals else ""


def main() -> None:
    """Measure and print; write the CSV if asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=MODULES, default=MODULES)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--csv", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    table = [["case", "peer", "raydet_ms", "peer_ms", "ratio", "goal"]]
    print(" | ".join(table[0]))
    for module in args.only:
        for case in importlib.import_module(f"tools.op_bench.{module}").cases(args.device):
            for row in rows(case, measure(case, args.rounds, args.device)):
                table.append(row)
                print(" | ".join(row), flush=True)
    if args.csv:
        with args.csv.open("w", newline="") as file:
            csv.writer(file).writerows(table)


if __name__ == "__main__":
    main()
