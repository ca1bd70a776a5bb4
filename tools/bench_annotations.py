"""Measure how annotations load and what memory they take, against pycocotools.

    python tools/bench_annotations.py [--rounds 2] [--scale 1.0] [--out docs/numbers/annotations.csv]

Files are synthesised: "coco" is like instances_train2017.json (118,000 images, 860,000 boxes with masks), "sixth" is a
sixth of it, as lists in five processes need much memory, and "million" has 1,000,000 images with ten boxes each. Each
measurement runs in a process of its own, peers by turns. Memory is the proportional set size of a process and its
workers, which have looked at every annotation, without that of the same processes with nothing loaded. Prints CSV rows.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

NUM_WORKERS = 4
_BODIES = 9973
"""Annotations that are drawn; files repeat them under other ids."""


def synthesise(path: Path, images: int, boxes: int, masks: bool, seed: int = 0) -> None:
    """Write a COCO file whose records have the sizes of the real ones."""
    draw = random.Random(seed)
    categories = [{"supercategory": "thing", "id": i + 1, "name": f"class{i}"} for i in range(80)]
    with path.open("w") as file:
        file.write(f'{{"info":{{}},"categories":{json.dumps(categories)},"images":[')
        file.writelines(_separated(_image(i) for i in range(images)))
        file.write('],"annotations":[')
        bodies = [_annotation(number, masks, draw) for number in range(_BODIES)]
        file.writelines(
            _separated(f'{{"id":{k + 1},"image_id":{k * 7919 % images},{bodies[k % _BODIES]}}}' for k in range(boxes))
        )
        file.write("]}")


def _separated(texts: Iterable[str]) -> Iterable[str]:
    for number, text in enumerate(texts):
        yield f",{text}" if number else text


def _image(number: int) -> str:
    name = f"{number:012d}.jpg"
    url = f"http://images.cocodataset.org/train2017/{name}"
    return (
        f'{{"license":3,"file_name":"{name}","coco_url":"{url}","height":480,"width":640,'
        f'"date_captured":"2013-11-14 11:18:45","id":{number}}}'
    )


def _annotation(number: int, masks: bool, draw: random.Random) -> str:
    """An annotation without its ids."""
    x, y, w, h = (draw.randrange(100, 30000) / 100 for _ in range(4))
    crowd = int(number % 100 == 0)
    mask = f',"segmentation":{_mask(crowd, draw)}' if masks else ""
    return f'"category_id":{1 + number % 80},"bbox":[{x},{y},{w},{h}],"area":{w * h:.4f},"iscrowd":{crowd}{mask}'


def _mask(crowd: int, draw: random.Random) -> str:
    if crowd:
        return f'{{"counts":{[draw.randint(1, 900) for _ in range(60)]},"size":[480,640]}}'
    return f"[{[draw.randrange(60000) / 100 for _ in range(2 * draw.randint(6, 40))]}]"


def load_store(path: str) -> Any:
    """The data set of raydet."""
    from raydet.datasets import CocoDataset

    class Everything(CocoDataset):
        CLASSES = None

    return Everything(path, [], test_mode=True)


def load_lists(path: str) -> Any:
    """Dicts and lists, as pycocotools indexes them."""
    from pycocotools.coco import COCO

    return COCO(path)


def load_nothing(path: str) -> Any:
    """What the others are compared with: all that they import."""
    import pycocotools.coco

    import raydet.datasets

    return pycocotools.coco, raydet.datasets


LOADERS: dict[str, Callable[[str], Any]] = {"raydet": load_store, "pycocotools": load_lists, "nothing": load_nothing}


def look_at_everything(loaded: Any) -> int:
    """Touch each annotation, as the samples of an epoch do."""
    if hasattr(loaded, "get_ann_info"):
        return sum(len(loaded.get_ann_info(i)["bboxes"]) for i in range(len(loaded)))
    if not hasattr(loaded, "imgToAnns"):
        return 0
    count = 0
    for group in loaded.imgToAnns.values():
        for annotation in group:
            mask = annotation.get("segmentation", [])
            count += len([value for part in mask for value in part] if isinstance(mask, list) else mask["counts"])
    return count


def pss(pid: int) -> float:
    """Proportional set size of a process in bytes."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return 1024.0 * next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))


def family(pid: int) -> list[int]:
    """A process and all that it started."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        parent = stat.read_text().rpartition(")")[2].split()[1]
        children.setdefault(int(parent), []).append(int(stat.parent.name))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


def measure_load(kind: str, path: str) -> dict[str, float]:
    """Seconds that loading takes, imports left out."""
    load_nothing(path)
    wall, cpu = time.monotonic(), time.process_time()
    LOADERS[kind](path)
    return {"seconds": time.monotonic() - wall, "cpu_seconds": time.process_time() - cpu}


def measure_pss(kind: str, path: str) -> dict[str, float]:
    """Memory of a process and its forked workers."""
    load_nothing(path)
    loaded = LOADERS[kind](path)
    fork = multiprocessing.get_context("fork")
    seen, leave = fork.Semaphore(0), fork.Event()

    def work() -> None:
        look_at_everything(loaded)
        seen.release()
        leave.wait()

    workers = [fork.Process(target=work, daemon=True) for _ in range(NUM_WORKERS)]
    for worker in workers:
        worker.start()
    for _ in workers:
        seen.acquire()
    total = sum(map(pss, family(os.getpid())))
    leave.set()
    for worker in workers:
        worker.join()
    return {"bytes": total}


def measure_ray(kind: str, path: str) -> dict[str, float]:
    """Memory of a process, its Ray actors and the object store."""
    import ray

    from raydet.distributed.sharing import ArrayStore, unpack

    load_nothing(path)
    ray.init(address="local", num_cpus=NUM_WORKERS, include_dashboard=False, log_to_driver=False)
    loaded = LOADERS[kind](path)
    store = ArrayStore()
    shared = ray.put(store.pack(None if kind == "nothing" else loaded))
    store.adopt(loaded)

    class Worker:
        def look(self, parts: list[Any]) -> int:
            load_nothing(path)
            self.loaded = unpack(ray.get(parts[0]))
            return look_at_everything(self.loaded)

    workers = [ray.remote(num_cpus=0)(Worker).remote() for _ in range(NUM_WORKERS)]
    ray.get([worker.look.remote([shared]) for worker in workers])
    return {"bytes": sum(map(pss, family(os.getpid())))}


MEASUREMENTS = {"load": measure_load, "pss": measure_pss, "ray": measure_ray}


def alone(measurement: str, kind: str, path: Path) -> dict[str, float]:
    """A measurement in a process of its own."""
    command = [sys.executable, __file__, "--measure", measurement, kind, str(path)]
    finished = subprocess.run(command, capture_output=True, text=True)
    if finished.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{finished.stderr[-3000:]}")
    return dict(json.loads(finished.stdout.splitlines()[-1]))


def rows(folder: Path, rounds: int, scale: float) -> Iterable[list[Any]]:
    """All measurements."""
    sizes = {
        "coco": (118_000, 860_000, True),
        "sixth": (20_000, 145_000, True),
        "million": (1_000_000, 10_000_000, False),
    }

    def file(name: str) -> Path:
        path, (images, boxes, masks) = folder / f"{name}.json", sizes[name]
        if not path.exists():
            synthesise(path, round(images * scale), round(boxes * scale), masks)
        return path

    for number in range(rounds):
        for kind in ("raydet", "pycocotools"):
            found = alone("load", kind, file("coco"))
            yield ["load", "coco", kind, number, "seconds", round(found["seconds"], 2)]
            yield ["load", "coco", kind, number, "cpu_seconds", round(found["cpu_seconds"], 2)]
    base: dict[str, float] = {}
    for way, kind, name in (
        ("pss", "pycocotools", "sixth"),
        ("pss", "raydet", "sixth"),
        ("pss", "raydet", "coco"),
        ("pss", "raydet", "million"),
        ("ray", "raydet", "million"),
    ):
        if way not in base:
            base[way] = alone(way, "nothing", file(name))["bytes"]
        taken = alone(way, kind, file(name))["bytes"] - base[way]
        workers = "Ray actors" if way == "ray" else "forked workers"
        yield [f"memory with {NUM_WORKERS} {workers}", name, kind, 0, "megabytes", round(taken / 1e6, 1)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Load time and memory of annotations, against pycocotools.")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--scale", type=float, default=1.0, help="size of the files")
    parser.add_argument("--out", type=Path, help="also write the rows to this file")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        measurement, kind, path = args.measure
        print(json.dumps(MEASUREMENTS[measurement](kind, path)))
        return
    header = ["measurement", "file", "way", "round", "unit", "value"]
    with tempfile.TemporaryDirectory() as folder, (args.out or Path(os.devnull)).open("w") as file:
        for row in itertools.chain([header], rows(Path(folder), args.rounds, args.scale)):
            for target in (sys.stdout, file):
                print(*row, sep=",", file=target, flush=True)


if __name__ == "__main__":
    main()
