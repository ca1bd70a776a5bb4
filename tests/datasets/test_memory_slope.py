"""A training data loop does not grow: at most 1 MB in 1,000 batches, in the training process and in its workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from raydet.datasets import IndexPlan, LoaderCarrier, RepeatDataset, to_device

BATCHES = 2000


def own_megabytes(process: int | str = "self") -> float:
    """Memory that a process shares with nobody."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) / 1024


@pytest.mark.slow
def test_loop_over_the_loader_does_not_grow(make_coco) -> None:
    dataset = RepeatDataset(make_coco(), 100)
    carrier = LoaderCarrier(dataset, IndexPlan.of(dataset, 1), num_workers=1)
    (worker,) = (process.pid for process in start(carrier))
    seen = 0
    before: dict[int | str, float] = {}
    for epoch in range(1, 100):
        for batch in carrier.iterate(epoch):
            to_device(batch, "cpu")
            seen += 1
        if not before and seen >= BATCHES // 2:
            before, seen = {name: own_megabytes(name) for name in ("self", worker)}, 0
        if before and seen >= BATCHES:
            break
    for name, megabytes in before.items():
        assert (own_megabytes(name) - megabytes) / seen * 1000 <= 1
    carrier.close()


def start(carrier: LoaderCarrier) -> list[object]:
    """The worker processes, after an epoch."""
    list(carrier.iterate(0))
    return carrier._loader._iterator._workers
