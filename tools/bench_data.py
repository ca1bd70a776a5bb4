"""Images per second and processor time per image of three ways to feed a detector, on two CPUs.

    python tools/bench_data.py [--rounds 2] [--images 1920] [--cases plain mixed] [--out docs/numbers/data_path.csv]

`loader`: a torch `DataLoader` with raydet's transforms; `ray`: the same through Ray Data actors; `torchvision`: a
`DataLoader` with torchvision's transforms. "plain" resizes to 1333x800, flips, normalises and pads; "mixed" makes
Mosaic, MixUp and colour shifts of 640x640. Every run has a process of its own, two loader processes or actors and
batches of two; rounds go through the peers in turn. The time is that of the whole process tree, Ray's daemons included.
raydet sends uint8 and normalises where the model is: figures come without that and, as `cpu_ms_with_normalisation`,
with it on the training process's CPU; torchvision's loader processes normalise, so that both figures are one.
Each is taken after an epoch of its kind, since actors read some four hundred images ahead where a trainer is slow, and
after half a minute: the pages of the object store are new until then. And an epoch is long, since an actor makes up to
64 images at a time: those that are half done at its ends blur the figure.

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


def exhaust(batches: Iterator[Any]) -> None:
    for _ in batches:
        pass


def measure(batches: Iterator[Any], use: Callable[[Any], Any], warm_up: int) -> dict[str, float]:
    """Rates from the `warm_up`-th batch on."""
    from tools.process_tree import cpu_seconds

    images = 0
    for number, batch in enumerate(batches):
        if number == warm_up:
            start, used, images = time.monotonic(), cpu_seconds(), 0
        use(batch)
        images += len(batch[1] if isinstance(batch, tuple) else batch["img_metas"])
    seconds, used = time.monotonic() - start, cpu_seconds() - used
    return {"images_per_s": images / seconds, "cpu_ms": used / images * 1000}


def run_carrier(case: str, images: int, make: Callable[[Any, Any], Any]) -> dict[str, float]:
    """Epochs without and with normalisation through a carrier."""
    from raydet.datasets import IndexPlan, RepeatDataset, build_dataset, to_device

    dataset = build_dataset(section(case))
    repeated = RepeatDataset(dataset, -(-images // len(dataset)))
    start = time.monotonic()
    carrier = make(repeated, IndexPlan.of(repeated, 2, seed=0))
    batches = carrier.iterate(0)
    next(batches)
    first = time.monotonic() - start
    epochs = itertools.count(1)
    exhaust(batches)
    while time.monotonic() < start + WARM_UP:
        exhaust(carrier.iterate(next(epochs)))
    plain = measure(carrier.iterate(next(epochs)), lambda batch: None, 4)
    for batch in carrier.iterate(next(epochs)):
        to_device(batch, "cpu")
    normalised = measure(carrier.iterate(next(epochs)), lambda batch: to_device(batch, "cpu"), 4)
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
    sampler = RandomSampler(peer, replacement=True, num_samples=images // 2)
    loader = DataLoader(peer, 2, sampler=sampler, num_workers=2, collate_fn=collate, prefetch_factor=2)
    batches = iter(loader)
    next(batches)
    first = time.monotonic() - start
    result = measure(batches, lambda batch: None, 8)
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
    parser.add_argument(
        "--images", type=int, default=1920, help="per epoch; raydet reads three or more, torchvision a half"
    )
    parser.add_argument("--cases", nargs="+", choices=SCALES, default=list(SCALES))
    parser.add_argument("--out", type=Path, default=ROOT / "docs/numbers/data_path.csv")
    parser.add_argument("--run", choices=PEERS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run:
        use_one_thread()
        print(json.dumps(globals()[f"run_{args.run}"](args.cases[0], args.images)))
        return
    rows = []
    for number, case, peer in itertools.product(range(args.rounds), args.cases, PEERS):
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

    for name in ("cpu_ms", "cpu_ms_with_normalisation"):
        ours, theirs, streamed = (median(peer, name) for peer in ("loader", "torchvision", "ray"))
        print(f"{case} {name}: torchvision / loader {theirs / ours:.2f}, loader / ray {ours / streamed:.2f}")
    first = median("ray", "first_batch_s") / median("loader", "first_batch_s")
    print(f"{case} first batch: ray / loader {first:.2f}, besides {median('ray', 'ray_start_s'):.1f} s to start Ray")


if __name__ == "__main__":
    main()
