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
from typing import Any, NamedTuple

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
    """The kernel libraries, what computes each operator on each device, and whether some of them run."""
    import raydet_ops
    import torch

    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    for library in raydet_ops.LIBRARIES:
        yield _library(library, library.device in devices)
    for name in raydet_ops.OPERATORS:
        if not name.endswith("_backward"):
            carriers = (f"{device} by {raydet_ops.serves(name, device)}" for device in devices)
            yield Finding("ok", name, ", ".join(carriers))
    for device in devices:
        yield _probe(device)


def _library(library: Any, is_wanted: bool) -> Finding:
    import torch

    versions = f"torch {torch.__version__}" + (f", CUDA {torch.version.cuda}" if library.device == "cuda" else "")
    if library.path is not None:
        return Finding("ok", f"kernels {library.device}", f"{library.path.name} in {versions}")
    return Finding("note" if is_wanted else "ok", f"kernels {library.device}", f"{library.problem} ({versions})")


def _probe(device: str) -> Finding:
    """Whether a few operators, which stand for their libraries, give an answer."""
    import torch

    from raydet import ops

    boxes = torch.tensor([[0.0, 0, 8, 8], [1, 1, 9, 9]], device=device)
    scores, image = torch.tensor([0.9, 0.8], device=device), torch.rand(1, 2, 16, 16, device=device)
    regions, labels = torch.tensor([[0.0, 0, 0, 8, 8]], device=device), torch.tensor([0, 3], device=device)
    probes: dict[str, Callable[[], object]] = {
        "nms": lambda: ops.nms(boxes, scores, 0.5),
        "roi_align": lambda: ops.roi_align(image, regions, 2),
        "roi_pool": lambda: ops.roi_pool(image, regions, 2),
        "sigmoid_focal_loss": lambda: ops.sigmoid_focal_loss(boxes, labels),
    }
    for name, probe in probes.items():
        try:
            probe()
        except Exception as error:
            cause = str(error).splitlines()[0]
            return Finding("bad", f"operators {device}", f"{name} fails: {cause}; do torch and torchvision match?")
    return Finding("ok", f"operators {device}", f"{', '.join(probes)} run")


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
