"""The smallest model, carrier and runner."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from raydet.engine import EpochBasedRunner, LocalEnvironment


class Line(nn.Module):
    """The smallest thing with a train_step."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.weight * x

    def train_step(self, data: dict[str, Any], optimizer: Any) -> dict[str, Any]:
        loss = self(data["x"]).pow(2).mean()
        return {"loss": loss, "log_vars": {"loss_line": loss.item(), "loss": loss.item()}, "num_samples": 2}

    val_step = train_step


class Numbers:
    """A carrier of `count` batches that remembers what was asked of it."""

    dataset = ("numbers",)

    def __init__(self, count: int = 3) -> None:
        self.count = count
        self.asked: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return self.count

    def iterate(self, epoch: int, start: int = 0) -> Iterator[dict[str, Any]]:
        self.asked.append((epoch, start))
        for i in range(start, self.count):
            yield {"x": torch.tensor([float(i)]), "img_metas": [{"ori_filename": f"{epoch}_{i}.jpg"}]}

    def close(self) -> None:
        pass


def make(kind: Any = EpochBasedRunner, folder: Path = Path("."), **limits: Any) -> Any:
    model = Line()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    environment = LocalEnvironment(folder, "cpu")
    return kind(model, optimizer=optimizer, work_dir=folder, environment=environment, **limits)
