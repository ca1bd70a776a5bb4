"""Overlaps of anchors with objects, of proposals, of aligned boxes."""

from __future__ import annotations

from raydet_ops import bbox_overlaps
from raydet_ops.overlaps import MODES, _plain

from tools.op_bench.case import Case
from tools.op_bench.suppression import random_boxes


def cases(device: str) -> list[Case]:
    """Tables as assigners ask for them, and one row of pairs."""
    sizes = ((20, 120_000), (2000, 50), (200, 200))
    return [_table(rows, columns, mode, device) for rows, columns in sizes for mode in ("iou", "giou")] + [
        _table(100_000, 100_000, "iou", device, aligned=True)
    ]


def _table(rows: int, columns: int, mode: str, device: str, aligned: bool = False) -> Case:
    first, second = random_boxes(rows, device)[0], random_boxes(columns, device)[0]
    number = MODES.index(mode)
    return Case(
        f"bbox_overlaps {mode} {rows} {'aligned' if aligned else f'x {columns}'}",
        lambda: bbox_overlaps(first, second, mode, aligned, eps=1e-6),
        {"torch": lambda: _plain(first, second, number, aligned, 0, 1e-6)},
        {"torch": 1.0},
    )
