"""What `raydet doctor` looks at. Each check yields findings; none of them changes anything."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

REQUIRED = (
    "torch", "torchvision", "ray", "numpy", "cv2", "PIL", "pycocotools", "pyarrow", "yaml", "rich", "scipy", "optuna",
    "msgspec",
)  # fmt: skip
OPTIONAL = {
    "boto3": "runs and data in S3 buckets of private clouds",
    "lmdb": "images in LMDB files",
    "matplotlib": "plots",
    "tensorboard": "TensorBoard logs",
    "onnx": "export to ONNX",
    "onnxruntime": "running exported models",
}
_DISTRIBUTIONS = {"cv2": "opencv-python-headless", "PIL": "pillow", "yaml": "pyyaml"}
SHARED_MEMORY_WANTED = 2 << 30
DISK_WANTED = 5 << 30


class Finding(NamedTuple):
    """One line of the report.

    Attributes:
        state: "ok", "note" (works, but) or "bad".
        name: what was looked at.
        text: what was found, and what to do.
    """

    state: str
    name: str
    text: str


def gibibytes(count: float) -> str:
    """A number of bytes for people."""
    return f"{count / (1 << 30):.1f} GiB"


def check_python() -> Iterator[Finding]:
    """Interpreter and machine."""
    state = "ok" if sys.version_info >= (3, 10) else "bad"
    yield Finding(state, "python", f"{platform.python_version()} on {platform.platform(terse=True)}")


def check_packages() -> Iterator[Finding]:
    """Versions of what raydet needs and may use."""
    for module in REQUIRED:
        version = _version(module)
        yield Finding("ok", module, version) if version else Finding("bad", module, "missing; pip install raydet")
    for module, use in OPTIONAL.items():
        yield Finding("ok", module, _version(module) or f"not installed; only for {use}")


def _version(module: str) -> str | None:
    try:
        if importlib.util.find_spec(module) is None:
            return None
        return importlib.metadata.version(_DISTRIBUTIONS.get(module, module))
    except importlib.metadata.PackageNotFoundError:  # installed under another name, such as opencv-python
        return str(getattr(importlib.import_module(module), "__version__", "present"))


def check_devices() -> Iterator[Finding]:
    """GPUs, CPUs and memory."""
    import torch

    if torch.cuda.is_available():
        for i in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(i)
            memory = gibibytes(properties.total_memory)
            yield Finding("ok", f"cuda:{i}", f"{properties.name}, {memory}, CUDA {torch.version.cuda}")
    else:
        yield Finding("note", "cuda", "no usable GPU; training runs on CPUs (leave --use-gpu out)")
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Finding("ok", "cpus", str(cpus))
    if hasattr(os, "sysconf"):
        yield Finding("ok", "memory", gibibytes(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")))


def check_folders() -> Iterator[Finding]:
    """Shared memory, temporary files, downloaded weights and the current folder."""
    from raydet.checkpoint import cache_folder

    shared = Path("/dev/shm")
    if shared.is_dir():
        free = shutil.disk_usage(shared).free
        advice = "" if free >= SHARED_MEMORY_WANTED else "; little for Ray's object store: docker run --shm-size=4g"
        yield Finding("note" if advice else "ok", str(shared), f"{gibibytes(free)} free{advice}")
    temporary, weights = Path(tempfile.gettempdir()), cache_folder()
    for name, folder in (("temporary files", temporary), ("weights cache", weights), ("current folder", Path.cwd())):
        yield _folder(name, folder)


def _folder(name: str, folder: Path) -> Finding:
    existing = next(each for each in (folder, *folder.parents) if each.exists())
    if not os.access(existing, os.W_OK):
        return Finding("bad", name, f"{folder} cannot be written; change its owner or take another")
    free = shutil.disk_usage(existing).free
    advice = "" if free >= DISK_WANTED else "; little for checkpoints"
    return Finding("note" if advice else "ok", name, f"{folder}, {gibibytes(free)} free{advice}")


def check_operators() -> Iterator[Finding]:
    """Each operator on each device: whether it runs and what carries it."""
    import torch

    from raydet import ops

    boxes, image = torch.tensor([[0.0, 0, 8, 8], [1, 1, 9, 9]]), torch.rand(1, 2, 16, 16)
    scores, regions = torch.tensor([0.9, 0.8]), torch.tensor([[0.0, 0, 0, 8, 8]])
    logits, labels = torch.zeros(2, 3), torch.tensor([0, 3])
    probes: dict[str, tuple[str, Callable[[str], object]]] = {
        "nms": ("torchvision", lambda d: ops.nms(boxes.to(d), scores.to(d), 0.5)),
        "soft_nms": ("torch", lambda d: ops.soft_nms(boxes.to(d), scores.to(d))),
        "roi_align": ("torchvision", lambda d: ops.roi_align(image.to(d), regions.to(d), 2)),
        "roi_pool": ("torchvision", lambda d: ops.roi_pool(image.to(d), regions.to(d), 2)),
        "sigmoid_focal_loss": ("torch", lambda d: ops.sigmoid_focal_loss(logits.to(d), labels.to(d))),
    }
    for name, (carrier, probe) in probes.items():
        for device in ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]:
            yield _probe(name, carrier, probe, device)


def _probe(name: str, carrier: str, probe: Callable[[str], object], device: str) -> Finding:
    try:
        probe(device)
    except Exception as error:
        return Finding("bad", name, f"fails on {device}: {str(error).splitlines()[0]}; do torch and torchvision match?")
    return Finding("ok", name, f"{device}: {carrier}")


def check_shipped() -> Iterator[Finding]:
    """Configs, cluster files and sweeps that come with raydet."""
    from raydet.config import shipped_root

    for kind in ("configs", "clusters", "tuning"):
        try:
            root = shipped_root(kind)
        except FileNotFoundError as error:
            yield Finding("bad", kind, str(error))
            continue
        count = sum(path.is_file() for path in root.rglob("*"))
        yield Finding("ok" if count else "note", kind, f"{count} files in {root}")


def check_ray() -> Iterator[Finding]:
    """Whether Ray starts and runs a task."""
    from raydet.distributed.cluster import connected

    start = time.monotonic()
    with connected("local"):
        import ray

        answer = ray.get(ray.remote(num_cpus=0)(platform.node).remote(), timeout=60)
        cpus = ray.cluster_resources().get("CPU", 0)
    yield Finding("ok", "ray start", f"{cpus:g} CPUs, a task ran on {answer}, {time.monotonic() - start:.1f} s")
