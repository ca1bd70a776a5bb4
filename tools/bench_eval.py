"""Measure COCO evaluation and run-length encoding against pycocotools and the fastest engines of PyPI.

    python tools/bench_eval.py [--rounds 2] [--images 5000] [--out docs/numbers/coco_evaluation.csv]

Annotations and results are synthesised as files; each engine reads them, evaluates and gives the twelve numbers, in a
process of its own, engines by turns. Masks, which pycocotools takes minutes for, are compared on a fifth of the images.
Times are CPU seconds; memory is what the process gained at its peak after its imports. Engines that are not installed
are left out: ultrafast-pycocotools, hotcoco, faster-coco-eval. Prints CSV rows and compares the numbers with those of
pycocotools.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

OURS, REFERENCE = "raydet", "pycocotools"
ENGINES = {  # what gives COCO, what gives COCOeval and under which name, what gives encode
    REFERENCE: ("pycocotools.coco", "pycocotools.cocoeval", "COCOeval", "pycocotools.mask"),
    "ultrafast-pycocotools": (
        "ultrafast_pycocotools.coco",
        "ultrafast_pycocotools.cocoeval",
        "COCOeval",
        "ultrafast_pycocotools.mask",
    ),
    "hotcoco": ("hotcoco", "hotcoco", "COCOeval", "hotcoco.mask"),
    "faster-coco-eval": ("faster_coco_eval", "faster_coco_eval", "COCOeval_faster", "faster_coco_eval.core.mask"),
}
WIDTH, HEIGHT, NUM_CLASSES, NUM_CORNERS, NUM_MASKS = 640, 480, 80, 16, 100
COLUMNS = ("task", "images", "engine", "load_s", "evaluate_s", "memory_mb", "largest_difference")


def synthesise(folder: Path, num_images: int, seed: int = 0) -> None:
    """Write `gt.json`, `bbox.json` and `segm.json`: per image 7.4 objects and 37 detections, half of them near one."""
    from pycocotools import mask as rle_tools

    rng = np.random.default_rng(seed)
    shares = np.arange(1, NUM_CLASSES + 1) ** -0.9
    shares /= shares.sum()
    annotations: list[dict[str, Any]] = []
    detections: dict[str, list[dict[str, Any]]] = {"bbox": [], "segm": []}

    def sizes(count: int) -> np.ndarray:
        extent = np.exp(rng.normal(4.2, 0.9, (count, 2))).clip(4, (WIDTH - 1, HEIGHT - 1))
        return np.concatenate([rng.uniform(0, (WIDTH, HEIGHT) - extent), extent], axis=1)

    def detect(image: int, kind: int, box: np.ndarray, score: float) -> None:
        code = rle_tools.frPyObjects([ellipse(box)], HEIGHT, WIDTH)[0]
        row = {"image_id": image, "category_id": kind, "score": float(score)}
        detections["bbox"].append({**row, "bbox": np.float32(box).tolist()})
        detections["segm"].append({**row, "segmentation": {**code, "counts": code["counts"].decode()}})

    for image in range(1, num_images + 1):
        kinds = rng.choice(NUM_CLASSES, rng.integers(1, 5), replace=False, p=shares) + 1
        for box in sizes(rng.poisson(7.36)).round(2):
            kind = int(rng.choice(kinds))
            row = {"id": len(annotations) + 1, "image_id": image, "category_id": kind, "bbox": box.tolist()}
            area = float(box[2] * box[3] * rng.uniform(0.5, 1))
            crowd = int(rng.random() < 0.01)
            annotations.append({**row, "area": area, "iscrowd": crowd, "segmentation": [ellipse(box)]})
            for shift in rng.normal(0, 0.12, (rng.integers(1, 5), 4)):
                near = np.concatenate([box[:2] + shift[:2] * box[2:], box[2:] * np.exp(shift[2:])])
                detect(image, kind, near, np.float32(rng.beta(2, 2)))
        for box in sizes(rng.poisson(18.4)):
            kind = int(rng.choice(kinds)) if rng.random() < 0.5 else int(rng.choice(NUM_CLASSES, p=shares)) + 1
            detect(image, kind, box, np.float32(rng.beta(1, 4)))
    images = [{"id": i, "width": WIDTH, "height": HEIGHT, "file_name": f"{i}.jpg"} for i in range(1, num_images + 1)]
    categories = [{"id": k, "name": f"class{k}"} for k in range(1, NUM_CLASSES + 1)]
    content = {"images": images, "categories": categories, "annotations": annotations}
    (folder / "gt.json").write_text(json.dumps(content))
    for task, rows in detections.items():
        (folder / f"{task}.json").write_text(json.dumps(rows))


def ellipse(box: np.ndarray) -> list[float]:
    """A polygon that fills a box of x, y, width, height."""
    angles = np.linspace(0, 2 * np.pi, NUM_CORNERS, endpoint=False)
    corners = box[:2] + box[2:] * (0.5 + 0.5 * np.stack([np.cos(angles), np.sin(angles)], axis=1))
    return [float(value) for value in corners.round(2).ravel()]


def evaluate_ours(folder: Path, iou_type: str) -> tuple[float, float, list[float]]:
    """CPU seconds of loading and of evaluating, and the twelve numbers."""
    from raydet.datasets.coco_reader import read_coco
    from raydet.evaluation.coco_columns import found_in, truths_of
    from raydet.evaluation.coco_engine import compute_curves
    from raydet.evaluation.coco_matching import Request
    from raydet.evaluation.coco_summary import ITEMS, measure

    start = time.process_time()
    table = read_coco(str(folder / "gt.json"))
    truths = truths_of(table, iou_type)
    found = found_in(json.loads((folder / f"{iou_type}.json").read_bytes()), iou_type)
    loaded = time.process_time()
    kinds = [category["id"] for category in table.category_records]
    request = Request(iou_type, table.image_ids.tolist(), kinds, np.linspace(0.5, 0.95, 10), (1, 10, 100))
    curves = compute_curves(truths, found, request)
    numbers = [measure(item, curves, request) for item in ITEMS.values()]
    return loaded - start, time.process_time() - loaded, numbers


def evaluate_peer(engine: str, folder: Path, iou_type: str) -> tuple[float, float, list[float]]:
    """The same with an engine that has the interface of pycocotools."""
    coco_module, eval_module, eval_name, _ = ENGINES[engine]
    coco, evaluator = (
        importlib.import_module(coco_module).COCO,
        getattr(importlib.import_module(eval_module), eval_name),
    )
    start = time.process_time()
    truths = coco(str(folder / "gt.json"))
    found = truths.loadRes(str(folder / f"{iou_type}.json"))
    loaded = time.process_time()
    run = evaluator(truths, found, iou_type)
    run.evaluate()
    run.accumulate()
    run.summarize()
    return loaded - start, time.process_time() - loaded, [float(number) for number in run.stats[:12]]


def encode(engine: str, layout: str) -> tuple[float, float, list[float]]:
    """CPU seconds of encoding 100 ellipses, best of ten; C is how models give masks, F is what pycocotools reads."""
    import cv2

    rng = np.random.default_rng(0)
    masks = np.zeros((NUM_MASKS, HEIGHT, WIDTH), np.uint8)
    for mask in masks:
        centre, axes = rng.uniform(0, (WIDTH, HEIGHT)), np.exp(rng.normal(4.6, 0.8, 2)).clip(8, 300) / 2
        cv2.ellipse(mask, centre.astype(int).tolist(), axes.astype(int).tolist(), rng.uniform(0, 180), 0, 360, 1, -1)
    stacked = np.asfortranarray(masks.transpose(1, 2, 0))
    if engine == OURS:
        from raydet.structures.masks import encode_bitmaps

        given = masks.view(bool) if layout == "C" else stacked.transpose(2, 0, 1)
        seconds = _best(lambda: encode_bitmaps(given))
    else:
        tool = importlib.import_module(ENGINES[engine][3])
        one_by_one = lambda: [tool.encode(np.asfortranarray(mask)) for mask in masks]  # noqa: E731
        seconds = _best(one_by_one if layout == "C" else lambda: tool.encode(stacked))
    return 0.0, seconds, []


def _best(action: Callable[[], object], repeats: int = 10) -> float:
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        action()
        seconds.append(time.process_time() - start)
    return min(seconds)


def measure_here(task: str, engine: str, folder: Path) -> None:
    """Do one task in this process and print what it took as JSON."""
    for name in ("raydet.evaluation", "cv2") if engine == OURS else ENGINES[engine][:2]:
        importlib.import_module(name)
    before = _peak_mb()
    if task.startswith("rle"):
        took = encode(engine, task[-1])
    else:
        took = evaluate_ours(folder, task) if engine == OURS else evaluate_peer(engine, folder, task)
    print("\n" + json.dumps([*took, _peak_mb() - before]))


def _peak_mb() -> float:
    """Largest memory of this process so far; `getrusage` would count that of the process which started it."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024


def measure_apart(task: str, engine: str, folder: Path) -> list[Any]:
    """Do one task in a process of its own: seconds of loading, of evaluating, numbers, megabytes."""
    command = [sys.executable, __file__, "--task", task, "--engine", engine, "--folder", str(folder)]
    finished = subprocess.run(command, capture_output=True, text=True)
    if finished.returncode:
        raise SystemExit(f"{task} with {engine} failed:\n{finished.stderr[-2000:]}")
    took: list[Any] = json.loads(finished.stdout.splitlines()[-1])
    return took


def measure_rounds(task: str, engines: Sequence[str], folder: Path, num_images: int, rounds: int) -> list[list[Any]]:
    """A row of `COLUMNS` per engine: medians over rounds in which the engines take turns."""
    took: dict[str, list[list[Any]]] = {engine: [] for engine in engines}
    for _ in range(rounds):
        for engine in engines:
            took[engine].append(measure_apart(task, engine, folder))
    expected = took[REFERENCE][0][2] if REFERENCE in took else []
    rows = []
    for engine, each in took.items():
        load, evaluate, memory = (statistics.median(run[i] for run in each) for i in (0, 1, 3))
        difference = max((abs(a - b) for a, b in zip(each[0][2], expected, strict=False)), default="")
        rows.append([task, num_images, engine, f"{load:.3f}", f"{evaluate:.4f}", f"{memory:.0f}", difference])
    return rows


def main() -> None:
    """Measure everything, or one task with one engine when called by itself."""
    parser = argparse.ArgumentParser(description="CPU seconds and memory of COCO evaluation engines.")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--out", type=Path)
    for name in ("--task", "--engine", "--folder"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.task:
        return measure_here(args.task, args.engine, Path(args.folder))
    engines = [OURS, *(name for name, modules in ENGINES.items() if importlib.util.find_spec(modules[0].split(".")[0]))]
    plan = [(args.images // 5, ("bbox", "segm")), (args.images, ("bbox", "rle C", "rle F"))]
    lines = [",".join(COLUMNS)]
    print(lines[0])
    for num_images, tasks in plan:
        with tempfile.TemporaryDirectory() as folder:
            synthesise(Path(folder), num_images)
            for task in tasks:
                rows = measure_rounds(task, engines, Path(folder), num_images, args.rounds)
                lines += [",".join(map(str, row)) for row in rows]
                print("\n".join(lines[-len(rows) :]), flush=True)
    if args.out:
        args.out.write_text("\n".join(lines) + "\n")
    return None


if __name__ == "__main__":
    main()
