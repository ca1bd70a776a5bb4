"""Images per second and processor time per image of three ways to feed a detector, on two CPUs.

    python tools/bench_data.py [--rounds 2] [--images 1920] [--cases plain mixed] [--out docs/numbers/data_path.csv]

`loader`: a torch `DataLoader` with raydet's transforms; `ray`: the same through Ray Data actors; `torchvision`: a
`DataLoader` with torchvision's transforms. "plain" resizes to 1333x800, flips, normalises and pads; "mixed" makes
Mosaic, MixUp and colour shifts of 640x640. Every run has a process of its own, two loader processes or actors and
batches of two; rounds go through the peers in turn. The time is that of the whole process tree, Ray's daemons included.
raydet sends uint8 and normalises where the model is: figures come without that and, as `cpu_ms_with_normalisation`,
with it on the training process's CPU; torchvision's loader processes normalise, so that both figures are one.
Each is taken after so many images of its kind, since actors read some four hundred ahead where a trainer is slow, and
after half a minute: the pages of the object store are new until then. An actor makes up to 64 images at a time. So a
figure begins and ends where a batch had to be waited for: elsewhere, a row that is all but made counts as images of the
one side and as time of the other, and at the same places of every run.

The images are those of `../shared/data/coco_mini` where they are at hand, otherwise the embedded aerial photos.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PEERS = ("loader", "ray", "torchvision")
NORM = {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375], "to_rgb": True}
LOAD = [{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations", "with_bbox": True}]
FLIP = {"type": "RandomFlip", "flip_ratio": 0.5}
FORMAT = [
    {"type": "Normalize", **NORM},
    {"type": "Pad", "size_divisor": 32},
    {"type": "DefaultFormatBundle"},
    {"type": "Collect", "keys": ["img", "gt_bboxes", "gt_labels"]},
]
PLAIN = [*LOAD, {"type": "Resize", "img_scale": (1333, 800), "keep_ratio": True}, FLIP, *FORMAT]
MIXED = [
    {"type": "Mosaic", "img_scale": (640, 640), "pad_val": 114.0},
    {"type": "RandomAffine", "scaling_ratio_range": (0.5, 1.5), "border": (-320, -320)},
    {"type": "MixUp", "img_scale": (640, 640), "ratio_range": (0.8, 1.6), "pad_val": 114.0},
    {"type": "YOLOXHSVRandomAug"},
    FLIP,
    *FORMAT,
]
SCALES = {"plain": (1333, 800), "mixed": (640, 640)}
TRAINER_THREADS = 1
WARM_UP = 30.0
WAITED = 0.01
"""Seconds after which a batch was not at hand when it was asked for."""
PATIENCE = 256
"""Images until any batch will do: where normalising takes longest, none is waited for."""


def section(case: str) -> dict[str, Any]:
    """The data set's part of a config."""
    folder = ROOT.parent / "shared/data/coco_mini"
    if not folder.exists():
        folder = ROOT / "raydet/assets/neontrees"
    files = {"ann_file": str(folder / "instances_train.json"), "img_prefix": str(folder / "images")}
    loading = {"type": "CocoDataset", **files, "pipeline": PLAIN if case == "plain" else LOAD}
    if "neontrees" in str(folder):
        loading["classes"] = ("tree",)
    return loading if case == "plain" else {"type": "MultiImageMixDataset", "dataset": loading, "pipeline": MIXED}


def measure(batches: Iterator[Any], use: Callable[[Any], Any], images: int) -> dict[str, float]:
    """Rates over the next `images` images, between two batches that had to be waited for."""
    start = arrival(batches, use, 0)
    end = arrival(batches, use, images)
    return {
        "images_per_s": end.images / (end.seconds - start.seconds),
        "cpu_ms": (end.cpu_seconds - start.cpu_seconds) / end.images * 1000,
    }


@dataclass(frozen=True)
class Arrival:
    """The moment at which a batch came, the processor time until then and the images taken, its own included."""

    seconds: float
    cpu_seconds: float
    images: int


def arrival(batches: Iterator[Any], use: Callable[[Any], Any], images: int) -> Arrival:
    """Take batches until there were so many images and then one had to be waited for."""
    from tools.process_tree import cpu_seconds

    taken = 0
    while True:
        asked, enough = time.monotonic(), taken >= images
        batch = next(batches)
        now = time.monotonic()
        taken += len(batch[1] if isinstance(batch, tuple) else batch["img_metas"])
        if enough and (now - asked > WAITED or taken >= images + PATIENCE):
            return Arrival(now, cpu_seconds(), taken)
        use(batch)


def run_carrier(case: str, images: int, make: Callable[[Any, Any], Any]) -> dict[str, float]:
    """Images without and with normalisation through a carrier."""
    from raydet.datasets import IndexPlan, RepeatDataset, build_dataset, to_device

    dataset = build_dataset(section(case))
    repeated = RepeatDataset(dataset, -(-images // len(dataset)))
    start = time.monotonic()
    carrier = make(repeated, IndexPlan.of(repeated, 2, seed=0))
    batches = itertools.chain.from_iterable(map(carrier.iterate, itertools.count()))
    next(batches)
    first = time.monotonic() - start
    while time.monotonic() < start + WARM_UP:
        next(batches)
    plain = measure(batches, lambda batch: None, images)
    arrival(batches, lambda batch: to_device(batch, "cpu"), images)
    normalised = measure(batches, lambda batch: to_device(batch, "cpu"), images)
    carrier.close()
    with_it = {f"{name}_with_normalisation": value for name, value in normalised.items()}
    return {**plain, **with_it, "first_batch_s": first}


def run_loader(case: str, images: int) -> dict[str, float]:
    from raydet.datasets import LoaderCarrier

    return run_carrier(case, images, lambda dataset, plan: LoaderCarrier(dataset, plan, num_workers=2))


def run_ray(case: str, images: int) -> dict[str, float]:
    """On a cluster as `raydet train` starts it."""
    from raydet.distributed.cluster import connected
    from raydet.distributed.rows import ActorPool
    from raydet.distributed.stream import StreamCarrier

    start = time.monotonic()
    with connected("local"):
        started = time.monotonic() - start
        pool = ActorPool(size=2)
        # The stream goes on after the epochs that count, so that it reads ahead at their ends as at their beginnings.
        options: dict[str, Any] = {"pool": pool, "read_meanwhile": True}
        result = run_carrier(case, images, lambda dataset, plan: StreamCarrier(dataset, plan, **options))
    return {**result, "ray_start_s": started}


def run_torchvision(case: str, images: int) -> dict[str, float]:
    from torch.utils.data import DataLoader, RandomSampler

    from raydet.datasets import build_dataset
    from tools.torchvision_pipeline import TorchvisionDataset, collate

    dataset = build_dataset(section("plain"))
    peer = TorchvisionDataset(dataset, case == "mixed", SCALES[case])
    start = time.monotonic()
    sampler = RandomSampler(peer, replacement=True, num_samples=2 * images)  # more than are taken
    loader = DataLoader(peer, 2, sampler=sampler, num_workers=2, collate_fn=collate, prefetch_factor=2)
    batches = iter(loader)
    next(batches)
    first = time.monotonic() - start
    arrival(batches, lambda batch: None, 16)
    result = measure(batches, lambda batch: None, images // 2)
    with_it = {f"{name}_with_normalisation": value for name, value in result.items()}
    return {**result, **with_it, "first_batch_s": first}


def in_own_process(peer: str, case: str, images: int) -> dict[str, float]:
    arguments = ["--run", peer, "--cases", case, "--images", str(images)]
    command = [sys.executable, "-W", "ignore", "-m", "tools.bench_data", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    finished = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)
    if finished.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{finished.stderr[-3000:]}")
    result: dict[str, float] = json.loads(finished.stdout.splitlines()[-1])
    return result


def main() -> None:
    """Run the rounds, write the rows and print the ratios of the medians."""
    parser = argparse.ArgumentParser(description="Compare ways to feed a detector.")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--images", type=int, default=1920, help="per figure; torchvision reads half of them")
    parser.add_argument("--cases", nargs="+", choices=SCALES, default=list(SCALES))
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--out", type=Path, default=ROOT / "docs/numbers/data_path.csv")
    parser.add_argument("--run", choices=PEERS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run:
        use_one_thread()
        print(json.dumps(globals()[f"run_{args.run}"](args.cases[0], args.images)))
        return
    rows = []
    for number, case, peer in itertools.product(range(args.rounds), args.cases, args.peers):
        figures = {name: round(value, 3) for name, value in in_own_process(peer, case, args.images).items()}
        rows.append({"case": case, "round": number, "peer": peer, **figures})
        print(rows[-1], flush=True)
        write(rows, args.out)
    for case in args.cases:
        print_ratios([row for row in rows if row["case"] == case], case)


def use_one_thread() -> None:
    import cv2
    import torch

    torch.set_num_threads(TRAINER_THREADS)
    cv2.setNumThreads(0)


def write(rows: list[dict[str, Any]], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def print_ratios(rows: list[dict[str, Any]], case: str) -> None:
    def median(peer: str, name: str) -> float:
        return float(statistics.median(row[name] for row in rows if row["peer"] == peer))

    if {row["peer"] for row in rows} != set(PEERS):
        return
    for name in ("cpu_ms", "cpu_ms_with_normalisation"):
        ours, theirs, streamed = (median(peer, name) for peer in ("loader", "torchvision", "ray"))
        print(f"{case} {name}: torchvision / loader {theirs / ours:.2f}, loader / ray {ours / streamed:.2f}")
    first = median("ray", "first_batch_s") / median("loader", "first_batch_s")
    print(f"{case} first batch: ray / loader {first:.2f}, besides {median('ray', 'ray_start_s'):.1f} s to start Ray")


if __name__ == "__main__":
    main()
