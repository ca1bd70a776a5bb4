"""Records short trainings for the replay of searches: every point of a grid, the metric after each epoch.

    nice python -m tools.record_trials [--out docs/numbers/sweep_table.csv]

Each run trains `configs/demo/nuclei_retinanet.py` for nine epochs in this process, on one thread, from the same seed. A
row is written as soon as its run ends; rows that are in the file already are not run again, so a stopped recording goes
on where it was. `tools.replay_search` draws from the table.
"""

from __future__ import annotations

import argparse
import csv
import functools
import itertools
import random
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from raydet.config import Config
from raydet.datasets import build_carrier
from raydet.engine import LocalEnvironment, run_training

CONFIG = "demo/nuclei_retinanet"
EPOCHS = 9
TABLE = Path("docs/numbers/sweep_table.csv")
SPACE: Mapping[str, tuple[float, ...]] = {
    "lr": (2e-4, 4e-4, 8e-4, 1.6e-3, 3.2e-3, 6.4e-3, 1.28e-2, 2.56e-2),
    "scale": (2, 3, 4, 5),
    "gamma": (1.0, 2.0),
    "box_weight": (0.5, 2.0),
}
KEYS = {
    "lr": "optimizer.lr",
    "scale": "model.bbox_head.anchor_generator.octave_base_scale",
    "gamma": "model.bbox_head.loss_cls.gamma",
    "box_weight": "model.bbox_head.loss_bbox.loss_weight",
}
COLUMNS = [*SPACE, *(f"epoch_{number}" for number in range(1, EPOCHS + 1)), "seconds"]
Point = tuple[float, ...]


def main() -> None:
    """Record what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=TABLE)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if not args.out.exists():
        args.out.write_text(",".join(COLUMNS) + "\n")
    with args.out.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        for point in missing(args.out):
            row = record(dict(zip(SPACE, point, strict=True)))
            writer.writerow(row)
            file.flush()
            print(*row.values(), flush=True)


def missing(table: Path) -> Iterator[Point]:
    """Points without a row, in an order that covers the grid evenly."""
    points = list(itertools.product(*SPACE.values()))
    random.Random(0).shuffle(points)
    done = set(read_table(table))
    return (point for point in points if point not in done)


def read_table(table: Path) -> dict[Point, list[float]]:
    """The metric after each epoch, by point."""
    with table.open(newline="") as file:
        return {
            tuple(float(row[name]) for name in SPACE): [float(row[f"epoch_{n}"]) for n in range(1, EPOCHS + 1)]
            for row in csv.DictReader(file)
        }


def record(values: Mapping[str, float]) -> dict[str, Any]:
    """The row of one training."""
    cfg = Config.fromfile(CONFIG)
    cfg.merge_from_dict({KEYS[name]: value for name, value in values.items()})
    cfg.merge_from_dict({"seed": 0, "log_level": "ERROR", "runner.max_epochs": EPOCHS, "log_config.interval": 1000})
    cfg.merge_from_dict({"checkpoint_config.interval": -1})
    begin = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        scores = _scores(cfg, folder)
    numbers = {f"epoch_{number}": f"{score:.4f}" for number, score in enumerate(scores, 1)}
    return {**values, **numbers, "seconds": f"{time.process_time() - begin:.1f}"}


def _scores(cfg: Config, folder: str) -> list[float]:
    """Box AP after each epoch; 0 from where the loss stopped being finite."""
    heard = Listening(folder, "cpu")
    try:
        run_training(cfg, heard, build_carrier)
    except FloatingPointError as error:
        print(error)
    return [*heard.scores, *[0.0] * (EPOCHS - len(heard.scores))]


class Listening(LocalEnvironment):
    """Keeps the box AP of each evaluation."""

    def report(
        self, metrics: Mapping[str, Any], checkpoint: Path | None, evaluate: Mapping[str, Any] | None = None
    ) -> None:
        self.scores.append(float(metrics.get("bbox_mAP", 0.0)))

    @functools.cached_property
    def scores(self) -> list[float]:
        """After each epoch."""
        return []


if __name__ == "__main__":
    main()
