"""Pooling of regions as a detector with a feature pyramid does it, and pasting of masks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module

import raydet_ops
import torch
import torchvision
from raydet_ops import paste, roi
from torch import Tensor

from tools.op_bench.case import Case, gradient_run

# Functions of the package have the names of these modules.
prroi, deform = (import_module(f"raydet_ops.{name}") for name in ("prroi_pool", "deform_roi_pool"))

IMAGE = (800, 1344)
LEVELS = ((4, 30, 112, 600), (8, 112, 224, 250), (16, 224, 448, 100), (32, 448, 800, 50))
"""Stride, shortest and longest side of regions, and how many there are."""


def cases(device: str) -> list[Case]:
    """Forward, and forward with backward."""
    return [*_align(device), *_others(device), _paste(device)]


def _boxes(count: int, shortest: float, longest: float, device: str) -> Tensor:
    sides = shortest + torch.rand(count, 2, device=device) * (longest - shortest)
    limit = torch.tensor([IMAGE[1], IMAGE[0]], device=device)
    corners = torch.rand(count, 2, device=device) * (limit - sides).clamp(min=0)
    return torch.cat([corners, corners + sides], dim=1)


def _regions(count: int, shortest: float, longest: float, device: str) -> Tensor:
    boxes = _boxes(count, shortest, longest, device)
    return torch.cat([boxes.new_zeros(count, 1), boxes], dim=1)


def _align(device: str) -> list[Case]:
    maps = tuple(torch.randn(1, 256, IMAGE[0] // s, IMAGE[1] // s, device=device) for s, *_ in LEVELS)
    rois = [_regions(count, low, high, device) for _, low, high, count in LEVELS]

    def all_levels(pool: Callable[..., Tensor], ratio: int, *features: Tensor) -> Tensor:
        scales = (1 / stride for stride, *_ in LEVELS)
        pooled = [pool(x, r, (7, 7), s, ratio) for x, r, s in zip(features, rois, scales, strict=True)]
        return torch.cat(pooled)

    peer = partial(torchvision.ops.roi_align, aligned=True)
    found = []
    for ratio in (0, 2):
        ours, theirs = partial(all_levels, raydet_ops.roi_align, ratio), partial(all_levels, peer, ratio)
        name = f"1000 x 256 x 7 x 7, 4 levels, sampling {ratio}"
        run, peer_run = partial(ours, *maps), partial(theirs, *maps)
        found.append(Case(f"roi_align forward {name}", run, {"torchvision": peer_run}, {"torchvision": 1.5}))
        both, peer_both = gradient_run(ours, maps), gradient_run(theirs, maps)
        found.append(Case(f"roi_align forward+backward {name}", both, {"torchvision": peer_both}, {"torchvision": 1.5}))
    small, few = torch.randn(1, 16, 25, 42, device=device), _regions(8, 100, 400, device)
    both = gradient_run(partial(raydet_ops.roi_align, output_size=7, spatial_scale=1 / 32), (small,), few)
    peer_both = gradient_run(partial(peer, output_size=7, spatial_scale=1 / 32), (small,), few)
    found.append(
        Case("roi_align forward+backward 8 x 16 x 7 x 7", both, {"torchvision": peer_both}, {"torchvision": 1})
    )
    maximum = partial(raydet_ops.roi_align, pool_mode="max")
    plain = partial(roi._plain, maps[2], rois[2], 7, 7, 1 / 16, 2, True, True)
    run = partial(maximum, maps[2], rois[2], 7, 1 / 16, 2)
    found.append(Case("roi_align max forward 100 x 256 x 7 x 7", run, {"torch": plain}, {"torch": 1.0}))
    return found


def _others(device: str) -> list[Case]:
    features, rois = torch.randn(1, 256, 50, 84, device=device), _regions(100, 224, 448, device)
    offset, where = torch.randn(100, 2, 7, 7, device=device), (7, 7, 1 / 16)
    pairs: dict[str, tuple[Callable[[Tensor], Tensor], str, Callable[[Tensor], Tensor]]] = {
        "roi_pool": (
            lambda x: raydet_ops.roi_pool(x, rois, 7, 1 / 16),
            "torchvision",
            lambda x: torchvision.ops.roi_pool(x, rois, 7, 1 / 16),
        ),
        "prroi_pool": (
            lambda x: raydet_ops.prroi_pool(x, rois, 7, 1 / 16),
            "torch",
            lambda x: prroi._plain(x, rois, *where),
        ),
        "deform_roi_pool": (
            lambda x: raydet_ops.deform_roi_pool(x, rois, offset, 7, 1 / 16, 2),
            "torch",
            lambda x: deform._plain(x, rois, offset, *where, 2, 0.1),
        ),
    }
    return [
        Case(
            f"{name} forward+backward 100 x 256 x 7 x 7",
            gradient_run(ours, (features,)),
            {peer: gradient_run(theirs, (features,))},
            {peer: 1.0},
        )
        for name, (ours, peer, theirs) in pairs.items()
    ]


def _paste(device: str) -> Case:
    masks, boxes = torch.rand(100, 28, 28, device=device), _boxes(100, 30, 400, device)
    canvas = torch.zeros(100, *IMAGE, dtype=torch.uint8, device=device)
    run = partial(raydet_ops.paste_masks, masks, boxes, IMAGE, 0.5)
    plain = partial(paste._plain, masks, boxes, canvas, 0.5)
    return Case("paste_masks 100 x 28 x 28 into 800 x 1344", run, {"torch": plain}, {"torch": 1.3})
