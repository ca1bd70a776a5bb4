"""Time a training step (forward, losses, backward, SGD), or what follows the network at inference, against peers.

    python -m tools.bench_step [--models retinanet fcos] [--size 640 640] [--steps 10] [--device cuda] [--threads 1]
    python -m tools.bench_step --post [--models retinanet fcos] [--out docs/numbers/step.csv]

Both sides run in one process on the same random images and boxes, step about, so that a busy machine slows both.
On a CPU the clock is processor time, on an accelerator wall time around a synchronisation. The peers' resizing is
avoided by images of the right size; ResNets have frozen batch norm and a frozen first stage on both sides; anchors
per cell, pre- and post-NMS numbers and sampling numbers are equal. YOLOX is timed against pixeltable-yolox where that
is installed, ATSS alone.

`--post` times the way from the head's raw maps to detections: about as many scores exceed the threshold as in a
trained model. Both sides flatten maps, make anchors, choose, decode and suppress; torchvision's last part is its
`postprocess_detections`.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList

from raydet.structures import ImageMeta
from tools.step_models import NUM_CLASSES, PAIRS, Peer, Size, Truths

STRIDES = (8, 16, 32, 64, 128)
POST = ("retinanet", "fcos")
Timer = Callable[[], float]


def make_batch(size: Size, device: str, num_images: int = 2, num_boxes: int = 7) -> tuple[Tensor, Truths]:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(num_images, 3, *size, generator=generator)
    extent = torch.tensor([size[1], size[0]])
    boxes, labels = [], []
    for _ in range(num_images):
        corner = torch.rand(num_boxes, 2, generator=generator) * extent * 0.6
        sides = (0.05 + 0.35 * torch.rand(num_boxes, 2, generator=generator)) * extent
        boxes.append(torch.cat([corner, corner + sides], dim=1).to(device))
        labels.append(torch.randint(NUM_CLASSES, (num_boxes,), generator=generator).to(device))
    return images.to(device), (boxes, labels)


def metas_of(size: Size, count: int) -> list[dict[str, Any]]:
    return [{"img_shape": (*size, 3), "pad_shape": (*size, 3), "ori_shape": (*size, 3), "scale_factor": 1.0}] * count


def raydet_loss(model: nn.Module, images: Tensor, truths: Truths) -> Tensor:
    metas = metas_of((images.shape[2], images.shape[3]), len(images))
    losses = model(img=images, img_metas=metas, gt_bboxes=truths[0], gt_labels=truths[1])
    return torch.stack([value for name, value in losses.items() if "loss" in name]).sum()


def timed(work: Callable[[], Any], device: str) -> Timer:
    """A function that does the work and returns the seconds it took."""
    on_cpu = device == "cpu"
    clock = time.process_time if on_cpu else time.perf_counter

    def run() -> float:
        start = clock()
        work()
        if not on_cpu:
            torch.cuda.synchronize()
        return clock() - start

    return run


def step_timer(model: nn.Module, loss: Callable[..., Tensor], size: Size, device: str) -> Timer:
    model.to(device).train()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-4, momentum=0.9)
    batch = make_batch(size, device)

    def step() -> None:
        optimizer.zero_grad()
        torch.autograd.backward(loss(model, *batch))
        optimizer.step()

    return timed(step, device)


def step_sides(name: str, size: Size, device: str) -> dict[str, Timer]:
    """The timers of raydet's model and of its peer where there is one."""
    torch.manual_seed(0)
    pair = PAIRS[name]
    sides = {"raydet": step_timer(pair.model(), raydet_loss, size, device)}
    if pair.peer is not None:
        model = build_peer(pair.peer, size)
        if model is not None:
            sides[pair.peer.name] = step_timer(model, pair.peer.loss, size, device)
    return sides


def build_peer(peer: Peer, size: Size) -> nn.Module | None:
    """The peer's model, or None where its library is not installed."""
    try:
        return peer.build(size)
    except ImportError as error:
        print(f"without {peer.name}: {error}")
        return None


def raw_maps(dims: int, size: Size, device: str, mean: float, std: float, num_images: int = 2) -> list[Tensor]:
    """Maps `(N, dims, H, W)` of normal numbers, one per level."""
    generator = torch.Generator().manual_seed(dims)
    shapes = [(num_images, dims, -(-size[0] // stride), -(-size[1] // stride)) for stride in STRIDES]
    return [(torch.randn(shape, generator=generator) * std + mean).to(device) for shape in shapes]


def post_sides(name: str, size: Size, device: str) -> dict[str, Timer]:
    """The timers of what both sides make of the same raw maps."""
    model = PAIRS[name].model().to(device).eval()
    peer = PAIRS[name].peer
    assert peer is not None
    other = peer.build(size).to(device).eval()
    priors = 9 if name == "retinanet" else 1
    maps = {
        "cls_logits": raw_maps(priors * NUM_CLASSES, size, device, -6.0, 1.0),
        "bbox_regression": raw_maps(priors * 4, size, device, 0.0, 0.3),
    }
    if name == "fcos":
        maps["bbox_regression"] = [level.abs() * 4 for level in maps["bbox_regression"]]
        maps["bbox_ctrness"] = raw_maps(1, size, device, 0.0, 1.0)
    return {
        "raydet": timed(lambda: raydet_post(model, tuple(maps.values()), size), device),
        peer.name: timed(lambda: torchvision_post(other, maps, size), device),
    }


@torch.no_grad()
def raydet_post(model: Any, maps: tuple[list[Tensor], ...], size: Size) -> list[Any]:
    head = model.bbox_head
    found = head.candidates(head.flatten(maps), [ImageMeta.from_dict(meta) for meta in metas_of(size, len(maps[0][0]))])
    return [head.finish(each) for each in found]


@torch.no_grad()
def torchvision_post(model: Any, maps: Mapping[str, list[Tensor]], size: Size) -> list[Any]:
    dims = {"cls_logits": NUM_CLASSES, "bbox_regression": 4, "bbox_ctrness": 1}
    levels = maps["cls_logits"]
    images = ImageList(levels[0].new_empty(len(levels[0]), 3, *size), [size] * len(levels[0]))
    anchors = model.anchor_generator(images, levels)
    outputs = {key: torch.cat([rows(level, dims[key]) for level in value], dim=1) for key, value in maps.items()}
    priors = len(anchors[0]) // sum(level.shape[2] * level.shape[3] for level in levels)
    counts = [level.shape[2] * level.shape[3] * priors for level in levels]
    split = {key: list(torch.split(value, counts, dim=1)) for key, value in outputs.items()}
    priors_of_levels = [list(torch.split(each, counts)) for each in anchors]
    found: list[Any] = model.postprocess_detections(split, priors_of_levels, images.image_sizes)
    return found


def rows(level: Tensor, dims: int) -> Tensor:
    """`(N, A*D, H, W)` to `(N, H*W*A, D)` as torchvision's heads do it."""
    images, _, height, width = level.shape
    return level.view(images, -1, dims, height, width).permute(0, 3, 4, 1, 2).reshape(images, -1, dims)


def compare(sides: Mapping[str, Timer], steps: int, warmup: int) -> dict[str, float]:
    """Median seconds of each side."""
    times: dict[str, list[float]] = {side: [] for side in sides}
    for step in range(warmup + steps):
        for side, run in sides.items():
            seconds = run()
            if step >= warmup:
                times[side].append(seconds)
    return {side: statistics.median(values) for side, values in times.items()}


def report(name: str, part: str, size: Size, medians: Mapping[str, float]) -> dict[str, Any]:
    """Print the medians and return them as a row."""
    peer = next((side for side in medians if side != "raydet"), "")
    row: dict[str, Any] = {"model": name, "part": part, "height": size[0], "width": size[1], "peer": peer}
    row["raydet_ms"] = round(medians["raydet"] * 1000, 1)
    if peer:
        row["peer_ms"] = round(medians[peer] * 1000, 1)
        row["ratio"] = round(medians["raydet"] / medians[peer], 3)
    print(", ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    return row


def write(new: list[dict[str, Any]], path: Path) -> None:
    """Put rows into a table, in the place of those of the same model, part and size."""
    key = ("model", "part", "height", "width")
    old = list(csv.DictReader(path.open())) if path.exists() else []
    table = {tuple(str(row[name]) for name in key): row for row in [*old, *new]}
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*key, "peer", "raydet_ms", "peer_ms", "ratio"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(table.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=list(PAIRS), help="all by default, with --post those with peers")
    parser.add_argument("--post", action="store_true", help="from raw maps to detections instead of training steps")
    parser.add_argument("--size", type=int, nargs=2, default=(320, 448), help="height and width")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="table to put the rows into")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, {options.device}, {options.threads} threads, {options.steps} steps a side")
    size = (options.size[0], options.size[1])
    make_sides = post_sides if options.post else step_sides
    for name in options.models or (POST if options.post else PAIRS):
        medians = compare(make_sides(name, size, options.device), options.steps, options.warmup)
        row = report(name, "post" if options.post else "step", size, medians)
        if options.out:
            write([row], options.out)


if __name__ == "__main__":
    main()
