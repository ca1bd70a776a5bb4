"""How soon a pruned search reaches what random search finds, replayed from a table of recorded trainings.

    python -m tools.replay_search [--seeds 20] [--out docs/numbers/sweep_replay.csv]

Both searches go through the driver of sweeps, its samplers, its pruning rule and its ledger; in place of training, the
metric of each epoch is read from the table that `tools.record_trials` wrote. Random search trains each of its trials to
the end; its result is the best of them. The figure is the share of its epochs after which TPE with ASHA has trained a
trial to the end that is as good. `share_of_first` counts the epochs of random search only until it met its best trial.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
import yaml

from raydet.search.file import Sweep, load_sweep
from raydet.search.records import TrialRecord
from raydet.search.run import run_sweep
from raydet.search.task import ReportFunction, TrialTask
from tools.record_trials import CONFIG, EPOCHS, KEYS, SPACE, TABLE, Point, read_table

METRIC = "bbox_mAP"
RANDOM_TRIALS, TPE_TRIALS = 24, 80
SEARCHES: Mapping[str, Mapping[str, Any]] = {
    "random": {"num_trials": RANDOM_TRIALS, "search.sampler": "random", "pruning.scheduler": "none"},
    "tpe_asha": {"num_trials": TPE_TRIALS, "search.sampler": "tpe", "pruning.scheduler": "asha"},
}
SWEEP = {
    "base": CONFIG,
    "objective": {"metric": METRIC},
    # the learning rates of the table are powers of two, so that the sampler sees them in their order
    "variables": {"lr_step": {"int": [0, len(SPACE["lr"]) - 1]}},
    "space": {
        KEYS["lr"]: {"expression": f"{SPACE['lr'][0]} * 2 ** lr_step"},
        KEYS["scale"]: {"int": [int(SPACE["scale"][0]), int(SPACE["scale"][-1])]},
        KEYS["gamma"]: {"choice": list(SPACE["gamma"])},
        KEYS["box_weight"]: {"choice": list(SPACE["box_weight"])},
    },
    "search": {"storage": "memory"},
    "pruning": {"min_steps": 1, "reduction": 3, "max_steps": EPOCHS},
}


def main() -> None:
    """Print the medians and write a row for each seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--out", type=Path, help="write the rows to this file")
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    table = read_table(args.table)
    rows = [compare(table, seed) for seed in range(args.seeds)]
    for name in ("share", "share_of_first"):
        shares = sorted(row[name] for row in rows)
        print(f"{name}: median {statistics.median(shares):.3f} ({shares[0]:.3f} to {shares[-1]:.3f})")
    if args.out:
        with args.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def compare(table: Mapping[Point, Sequence[float]], seed: int) -> dict[str, Any]:
    """Both searches from one seed; epochs of one that never gets there are counted to its end."""
    randomly, pruned = (replay(table, name, seed) for name in SEARCHES)
    target = max(record.values[0] for record in randomly if record.values)
    first, _ = epochs_until(randomly, target)
    epochs, reached = epochs_until(pruned, target)
    total = RANDOM_TRIALS * EPOCHS
    return {
        "seed": seed,
        "best_of_random": target,
        "random_epochs": total,
        "random_epochs_until_best": first,
        "epochs_until_as_good": epochs,
        "reached": reached,
        "share": round(epochs / total, 4),
        "share_of_first": round(epochs / first, 4),
    }


def replay(table: Mapping[Point, Sequence[float]], search: str, seed: int) -> list[TrialRecord]:
    """The trials of a search."""

    def train(task: TrialTask, report: ReportFunction) -> None:
        for epoch, value in enumerate(table[point_of(task.options)], 1):
            if not report(epoch, {METRIC: value}):
                return

    with tempfile.TemporaryDirectory() as folder:
        sweep = sweep_of(search, seed, Path(folder))
        return run_sweep(sweep, Path(folder, "sweep"), local=True, function=train).records


def sweep_of(search: str, seed: int, folder: Path) -> Sweep:
    """The sweep over the table's grid."""
    file = folder / "table.yaml"
    file.write_text(yaml.safe_dump(SWEEP))
    return load_sweep(file, {**SEARCHES[search], "seed": seed})


def point_of(options: Mapping[str, Any]) -> Point:
    """The point of the table that options stand for."""
    known = [float(options[KEYS[name]]) for name in SPACE]
    return tuple(min(SPACE[name], key=lambda each: abs(each - value)) for name, value in zip(SPACE, known, strict=True))


def epochs_until(records: Sequence[TrialRecord], target: float) -> tuple[int, bool]:
    """Epochs trained, one trial after the other, until one came to its end with `target`; and whether one did."""
    epochs = 0
    for record in records:
        epochs += len(record.reports)
        if record.state == "complete" and record.values and record.values[0] >= target:
            return epochs, True
    return epochs, False


if __name__ == "__main__":
    main()
