"""Finds and loads the compiled kernels; keeps the reason where one cannot be used."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch

FOLDER = Path(__file__).parent / "lib"
OLDEST_TORCH = (2, 10)
"""The stable ABI that the libraries are built for came with this version."""


@dataclass(frozen=True)
class Library:
    """A compiled library: for which device, which file serves, or why none does and what to do."""

    device: str
    path: Path | None
    problem: str = ""


def load_all() -> tuple[Library, ...]:
    """Load the library of the CPU and, where a GPU is at hand, that of CUDA. Never raises: see `Library.problem`."""
    return _load("cpu", _cpu_file()), _load("cuda", "libraydet_ops_cuda.so")


def _cpu_file() -> str:
    """Processors with AVX2 have a library of their own; it must have been built."""
    fast = "libraydet_ops_cpu_avx2.so"
    modern = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
    return fast if modern and (FOLDER / fast).exists() else "libraydet_ops_cpu.so"


def _load(device: str, name: str) -> Library:
    path = FOLDER / name
    problem = _obstacle(device, path)
    if problem:
        return Library(device, None, problem)
    try:
        torch.ops.load_library(path)  # type: ignore[no-untyped-call]
    except OSError as error:
        return Library(device, None, f"{path} does not load: {error}. Rebuild it with `make ops`")
    return Library(device, path)


def _obstacle(device: str, path: Path) -> str:
    if os.environ.get("RAYDET_OPS") == "torch":
        return "RAYDET_OPS=torch asks for the plain versions"
    version = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2])
    if version < OLDEST_TORCH:
        return f"torch {torch.__version__} is older than 2.10, the first with the stable ABI; upgrade torch"
    if device == "cuda" and torch.version.cuda is None:
        return "this torch is built without CUDA"
    log = path.with_name(f"{path.name}.log")
    if log.exists():
        return f"{path.name} could not be built; the compiler's words are in {log}"
    if not path.exists():
        needs = "a C++17 compiler" if device == "cpu" else "nvcc"
        return f"{path.name} has not been built; install {needs}, then `make ops` or reinstall raydet"
    return ""
