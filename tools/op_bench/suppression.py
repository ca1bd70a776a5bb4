"""Suppression of 1,000 to 50,000 boxes, plain and over 80 classes, soft and in groups."""

from __future__ import annotations

import torch
import torchvision
from raydet_ops import batched_nms, nms, nms_match, soft_nms
from raydet_ops.nms_match import _plain as plain_match
from raydet_ops.soft_nms import METHODS
from raydet_ops.soft_nms import _plain as plain_soft
from torch import Tensor

from tools.op_bench.case import Case, Run

NUM_CLASSES = 80


def random_boxes(count: int, device: str) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes of 10 to 160 pixels on a megapixel, with scores and classes."""
    corners = torch.rand(count, 2) * 1000
    boxes = torch.cat([corners, corners + 10 + torch.rand(count, 2) * 150], dim=1)
    return boxes.to(device), torch.rand(count, device=device), torch.randint(0, NUM_CLASSES, (count,), device=device)


def cases(device: str) -> list[Case]:
    """Greedy suppression by size, then the methods that PyTorch lacks."""
    greedy = [_greedy(count, goal, device) for count, goal in ((1000, 1.0), (10_000, 2.0), (50_000, 1.0))]
    batched = [_batched(count, goal, device) for count, goal in ((1000, 1.0), (9999, 2.0), (50_000, 1.0))]
    soft = [_soft(method, device) for method in ("linear", "gaussian", "naive")]
    return [*greedy, *batched, _agnostic(device), *soft, _match(device)]


def _greedy(count: int, goal: float, device: str) -> Case:
    boxes, scores, _ = random_boxes(count, device)

    def peer() -> Tensor:
        keep = torchvision.ops.nms(boxes, scores, 0.5)
        return torch.cat([boxes[keep], scores[keep, None]], dim=1)

    return Case(f"nms {count}", lambda: nms(boxes, scores, 0.5), {"torchvision": peer}, {"torchvision": goal})


def _batched(count: int, goal: float, device: str) -> Case:
    boxes, scores, classes = random_boxes(count, device)
    config = {"type": "nms", "iou_threshold": 0.5}
    peers: dict[str, Run] = {"torchvision": lambda: torchvision.ops.batched_nms(boxes, scores, classes, 0.5)}
    name = f"batched_nms {count} x {NUM_CLASSES} classes"
    return Case(name, lambda: batched_nms(boxes, scores, classes, config), peers, {"torchvision": goal})


def _agnostic(device: str) -> Case:
    boxes, scores, classes = random_boxes(10_000, device)
    config = {"type": "nms", "iou_threshold": 0.5, "max_num": 100}
    peers: dict[str, Run] = {"torchvision": lambda: torchvision.ops.nms(boxes, scores, 0.5)[:100]}
    name = "batched_nms class-agnostic 10000, best 100"
    return Case(name, lambda: batched_nms(boxes, scores, classes, config, True), peers, {"torchvision": 2.0})


def _soft(method: str, device: str) -> Case:
    boxes, scores, _ = random_boxes(5000, device)
    number, host = METHODS.index(method), (boxes.cpu(), scores.cpu())
    peers: dict[str, Run] = {"torch": lambda: plain_soft(*host, number, 0.3, 0.5, 1e-3, 0)}
    return Case(f"soft_nms {method} 5000", lambda: soft_nms(boxes, scores, method=method), peers, {"torch": 3.0})


def _match(device: str) -> Case:
    boxes, scores, _ = random_boxes(2000, device)
    dets = torch.cat([boxes, scores[:, None]], dim=1)
    peers: dict[str, Run] = {"torch": lambda: plain_match(boxes.cpu(), scores.cpu(), 0.5)}
    return Case("nms_match 2000", lambda: nms_match(dets, 0.5), peers, {"torch": 1.0})
