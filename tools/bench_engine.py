"""What the training engine costs over a bare loop, and whether long runs grow.

    python tools/bench_engine.py [--rounds 5] [--steps 80] [--iterations 5000] [--out docs/numbers/engine.csv]

A small RetinaNet, whose step takes some tens of milliseconds, trains on random batches, each batch once in the engine
with the usual hooks (no checkpoints) and once in a bare loop, in changing order, so that a busy machine slows both. The
clocks are processor time and wall time of one thread; the figure is the ratio of the medians over the steps of a round.
Growth is that of the resident memory of a tiny model after a warm-up.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from raydet.config import Config
from raydet.engine import EpochBasedRunner, LocalEnvironment
from raydet.models import build_detector

WARM_UP = 1000  # iterations of the tiny model before its memory counts
SKIPPED = 5  # steps at the begin of a round
CLOCKS = ("cpu", "wall")
WIDTHS = [16, 32, 64, 128]
NUM_CLASSES = 80
RETINANET = Config.fromfile("retinanet_r50_fpn_1x_coco").model
MODEL = {
    **RETINANET,
    "backbone": {**RETINANET["backbone"], "depth": 18, "base_channels": WIDTHS[0], "init_cfg": None},
    "neck": {**RETINANET["neck"], "in_channels": WIDTHS, "out_channels": 32},
    "bbox_head": {**RETINANET["bbox_head"], "in_channels": 32, "feat_channels": 32, "stacked_convs": 1},
}
Seconds = tuple[float, float]
"""By `CLOCKS`."""


def main() -> None:
    """Print both figures, and write those of each round."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--iterations", type=int, default=5000)
    parser.add_argument("--out", type=Path, help="write the rows to this file")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = [row for number in range(args.rounds) for row in compare(number, args.steps)]
    for clock in CLOCKS:
        ratios = sorted(row["ratio"] for row in rows if row["clock"] == clock)
        print(f"{clock}: engine over bare loop {statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})")
    if args.out:
        with args.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    print(f"memory grows by {growth(args.iterations):.2f} MB in 1000 iterations")


def now() -> Seconds:
    """Both clocks."""
    return time.process_time(), time.perf_counter()


class Alternating:
    """A carrier that times the engine's step on each batch, and the same step in a bare loop before or after it.

    Args:
        model: trained by both.
        optimizer: of both.
        steps: batches.
    """

    dataset = None

    def __init__(self, model: nn.Module, optimizer: Any, steps: int) -> None:
        self.model, self.optimizer, self.steps = model, optimizer, steps
        self.engine: list[Seconds] = []
        self.bare: list[Seconds] = []

    def __len__(self) -> int:
        return self.steps

    def iterate(self, epoch: int, start: int = 0) -> Iterator[dict[str, Any]]:
        """Batches, with bare steps between them."""
        for number in range(start, self.steps):
            batch = random_batch(number)
            if number % 2:
                self._bare_step(batch)
            begin = now()
            yield batch
            self.engine.append(since(begin))
            if not number % 2:
                self._bare_step(batch)

    def _bare_step(self, batch: dict[str, Any]) -> None:
        begin = now()
        self.optimizer.zero_grad()
        self.model.train_step(batch, None)["loss"].backward()  # type: ignore[operator]
        nn.utils.clip_grad_norm_(self.model.parameters(), max_norm=35, norm_type=2)
        self.optimizer.step()
        self.bare.append(since(begin))


def since(begin: Seconds) -> Seconds:
    """Seconds by both clocks."""
    end = now()
    return end[0] - begin[0], end[1] - begin[1]


def random_batch(seed: int) -> dict[str, Any]:
    """Two random images with eight boxes each."""
    generator = torch.Generator().manual_seed(seed)
    height, width = 96, 128
    corners = torch.rand(2, 8, 2, generator=generator) * torch.tensor([width / 2, height / 2])
    boxes = torch.cat([corners, corners + 10 + 30 * torch.rand(2, 8, 2, generator=generator)], dim=2)
    shape = (height, width, 3)
    meta = {"img_shape": shape, "pad_shape": shape, "ori_shape": shape, "scale_factor": 1.0, "flip": False}
    return {
        "img": torch.rand(2, 3, height, width, generator=generator),
        "img_metas": [meta, meta],
        "gt_bboxes": list(boxes),
        "gt_labels": list(torch.randint(NUM_CLASSES, (2, 8), generator=generator)),
    }


def runner_for(model: nn.Module, optimizer: Any, folder: str) -> EpochBasedRunner:
    """An epoch of the engine with the hooks of every run, but no checkpoints."""
    environment = LocalEnvironment(folder, "cpu")
    runner = EpochBasedRunner(model, optimizer=optimizer, work_dir=folder, environment=environment, max_epochs=1)
    runner.logger.setLevel("WARNING")
    runner.register_training_hooks(
        {"policy": "step", "step": [8], "warmup": "linear", "warmup_iters": 500, "warmup_ratio": 0.001},
        {"grad_clip": {"max_norm": 35, "norm_type": 2}},
        None,
        {"interval": 50, "hooks": [{"type": "TextLoggerHook"}]},
    )
    return runner


def compare(number: int, steps: int) -> list[dict[str, Any]]:
    """A row for each clock: median milliseconds of a step in the engine and in the bare loop."""
    model = build_detector(MODEL)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)
    carrier = Alternating(model, optimizer, steps + SKIPPED)
    with tempfile.TemporaryDirectory() as folder:
        runner_for(model, optimizer, folder).run([carrier], [("train", 1)])
    rows = []
    for index, clock in enumerate(CLOCKS):
        engine, bare = ([1e3 * each[index] for each in way[SKIPPED:]] for way in (carrier.engine, carrier.bare))
        one, other = statistics.median(engine), statistics.median(bare)
        rows.append(
            {
                "round": number,
                "clock": clock,
                "engine_ms": round(one, 3),
                "bare_ms": round(other, 3),
                "ratio": round(one / other, 4),
                "ratio_of_sums": round(sum(engine) / sum(bare), 4),
            }
        )
    return rows


class Tiny(nn.Module):
    """The smallest model with a `train_step`."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 1)

    def train_step(self, data: dict[str, Any], optimizer: Any) -> dict[str, Any]:
        """The square of what comes out."""
        loss = self.layer(data["img"]).pow(2).mean()
        values = {f"loss_{name}": loss.item() for name in "abcdef"}
        return {"loss": loss, "log_vars": {**values, "loss": loss.item()}, "num_samples": 1}


class Watched:
    """A carrier of random numbers that measures memory after the warm-up and at the end."""

    dataset = None

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.resident: list[float] = []

    def __len__(self) -> int:
        return self.steps

    def iterate(self, epoch: int, start: int = 0) -> Iterator[dict[str, Any]]:
        """Batches of four numbers."""
        for number in range(start, self.steps):
            if number in (WARM_UP, self.steps - 1):
                self.resident.append(resident())
            yield {"img": torch.rand(2, 4)}


def resident() -> float:
    """Resident memory of this process in MB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def growth(iterations: int) -> float:
    """MB per 1000 iterations behind the warm-up, in one long epoch."""
    if iterations <= WARM_UP + 1:
        raise ValueError(f"--iterations must be more than {WARM_UP + 1}, got {iterations}")
    model, carrier = Tiny(), Watched(iterations)
    with tempfile.TemporaryDirectory() as folder:
        runner_for(model, torch.optim.SGD(model.parameters(), lr=0.1), folder).run([carrier], [("train", 1)])
    begin, end = carrier.resident
    return (end - begin) / (iterations - WARM_UP) * 1000


if __name__ == "__main__":
    main()
