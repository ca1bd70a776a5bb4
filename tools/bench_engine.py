"""What the training engine costs over a bare loop, and whether long runs grow.

    python tools/bench_engine.py [--steps 40] [--iterations 5000]

The same small Faster R-CNN trains on the same random batches, an iteration in the engine with its usual hooks and one
in a bare loop about, in processor time. Growth is that of the resident memory of a tiny model after a warm-up.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from bench_step import FASTER_RCNN, NUM_CLASSES  # type: ignore[import-not-found]
from torch import nn

from raydet.engine import EpochBasedRunner, LocalEnvironment
from raydet.models import build_detector

WARM_UP = 1000  # iterations of the tiny model before its memory counts


def main() -> None:
    """Print both figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--iterations", type=int, default=5000)
    args = parser.parse_args()
    torch.set_num_threads(1)
    engine, bare = times(args.steps)
    print(f"engine {1e3 * engine:.1f} ms, bare loop {1e3 * bare:.1f} ms: ratio {engine / bare:.3f}")
    print(f"memory grows by {growth(args.iterations):.2f} MB in 1000 iterations")


class Alternating:
    """A carrier that times the engine's step behind each batch, and the same step in a bare loop.

    Args:
        model: trained by both.
        optimizer: of both.
        steps: batches.
    """

    dataset = None

    def __init__(self, model: nn.Module, optimizer: Any, steps: int) -> None:
        self.model, self.optimizer, self.steps = model, optimizer, steps
        self.engine: list[float] = []
        self.bare: list[float] = []

    def __len__(self) -> int:
        return self.steps

    def iterate(self, epoch: int, start: int = 0) -> Iterator[dict[str, Any]]:
        """Batches; between two of them, the bare step on the one before."""
        for number in range(start, self.steps):
            batch = random_batch(number)
            begin = time.process_time()
            yield batch
            self.engine.append(time.process_time() - begin)
            begin = time.process_time()
            self._bare_step(batch)
            self.bare.append(time.process_time() - begin)

    def _bare_step(self, batch: dict[str, Any]) -> None:
        self.optimizer.zero_grad()
        self.model.train_step(batch, None)["loss"].backward()  # type: ignore[operator]
        nn.utils.clip_grad_norm_(self.model.parameters(), max_norm=35, norm_type=2)
        self.optimizer.step()


def random_batch(seed: int) -> dict[str, Any]:
    """Two random images with eight boxes each."""
    generator = torch.Generator().manual_seed(seed)
    height, width = 192, 256
    corners = torch.rand(2, 8, 2, generator=generator) * torch.tensor([width / 2, height / 2])
    boxes = torch.cat([corners, corners + 20 + 60 * torch.rand(2, 8, 2, generator=generator)], dim=2)
    shape = (height, width, 3)
    meta = {"img_shape": shape, "pad_shape": shape, "ori_shape": shape, "scale_factor": 1.0, "flip": False}
    return {
        "img": torch.rand(2, 3, height, width, generator=generator),
        "img_metas": [meta, meta],
        "gt_bboxes": list(boxes),
        "gt_labels": list(torch.randint(NUM_CLASSES, (2, 8), generator=generator)),
    }


def runner_for(model: nn.Module, optimizer: Any, folder: str) -> EpochBasedRunner:
    """An epoch of the engine with the hooks of every run."""
    environment = LocalEnvironment(folder, "cpu")
    runner = EpochBasedRunner(model, optimizer=optimizer, work_dir=folder, environment=environment, max_epochs=1)
    runner.logger.setLevel("WARNING")
    runner.register_training_hooks(
        {"policy": "step", "step": [8], "warmup": "linear", "warmup_iters": 500, "warmup_ratio": 0.001},
        {"grad_clip": {"max_norm": 35, "norm_type": 2}},
        {"interval": 1},
        {"interval": 50, "hooks": [{"type": "TextLoggerHook"}]},
    )
    return runner


def times(steps: int) -> tuple[float, float]:
    """Median seconds of an iteration in the engine and in the bare loop."""
    model = build_detector(FASTER_RCNN)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)
    carrier = Alternating(model, optimizer, steps)
    with tempfile.TemporaryDirectory() as folder:
        runner_for(model, optimizer, folder).run([carrier], [("train", 1)])
    return statistics.median(carrier.engine), statistics.median(carrier.bare)


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
