"""Compiles the kernels: every source in csrc/operators, once for the CPU, once for CPUs with AVX2, once for CUDA.

    python ops/build_kernels.py [--cuda] [--arch 8.0,9.0] [--out FOLDER] [--jobs N]

Needs a C++17 compiler (`CXX`, default g++) and, for CUDA, nvcc; torch is not needed. Only changed sources are compiled.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
SOURCES = HERE / "csrc"
LIBRARIES = HERE / "raydet_ops" / "lib"
CUDA_ARCHITECTURES = "7.5;8.0;8.6;9.0;10.0+PTX"
COMMON = ["-std=c++17", "-O3"]
# No contraction to fused multiply-add: overlaps near a threshold must come out the same on every processor.
CPU = ["-fPIC", "-fvisibility=hidden", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off", "-Wall", "-Wextra"]


@dataclass(frozen=True)
class Variant:
    """One library: its name, the commands (without files) that compile and link it, and whose symbols it takes."""

    name: str
    compile: tuple[str, ...]
    link: tuple[str, ...]
    needs: tuple[str, ...] = ("libtorch_cpu.so",)

    @property
    def folder(self) -> str:
        """Where its objects are; other flags have another one."""
        return f"{self.name}-{zlib.crc32(' '.join(self.compile).encode()):08x}"


def variants(cuda: bool, architectures: str) -> list[Variant]:
    """The libraries that can be built here; none without a compiler."""
    cxx, nvcc = shutil.which(os.environ.get("CXX", "g++")), shutil.which("nvcc")
    built = []
    if cxx:
        flags = (cxx, *COMMON, *CPU)
        built.append(Variant("libraydet_ops_cpu.so", flags, (cxx, "-shared")))
        if os.uname().machine == "x86_64":
            built.append(Variant("libraydet_ops_cpu_avx2.so", (*flags, "-march=x86-64-v3"), (cxx, "-shared")))
    if cuda and nvcc:
        code = code_flags(architectures)
        flags = (nvcc, "-x", "cu", *COMMON, "-fmad=false", *code, "-Xcompiler", "-fPIC,-fvisibility=hidden")
        link = (nvcc, "-shared", "-cudart", "static", *code)
        built.append(Variant("libraydet_ops_cuda.so", flags, link, ("libtorch_cpu.so", "libtorch_cuda.so")))
    return built


def code_flags(architectures: str) -> list[str]:
    """Flags of nvcc for a list such as `7.5;9.0+PTX`."""
    flags = []
    for entry in architectures.replace(",", ";").split(";"):
        number = entry.removesuffix("+PTX").replace(".", "")
        flags += ["-gencode", f"arch=compute_{number},code=sm_{number}"]
        if entry.endswith("+PTX"):
            flags += ["-gencode", f"arch=compute_{number},code=compute_{number}"]
    return flags


def build(variants: list[Variant], out: Path, objects: Path, jobs: int) -> list[Path]:
    """Compile what has changed and link.

    Raises:
        RuntimeError: a compiler failed; its words are in the message.
    """
    out.mkdir(parents=True, exist_ok=True)
    sources = sorted((SOURCES / "operators").glob("*.cpp"))
    newest_header = max(header.stat().st_mtime for header in SOURCES.rglob("*.h"))
    work = [
        (variant, source, objects / variant.name / f"{source.stem}.o") for variant in variants for source in sources
    ]
    stale = [item for item in work if _is_stale(item[2], max(item[1].stat().st_mtime, newest_header))]
    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(lambda item: _compile(*item), stale))
    return [_link(variant, [o for v, _, o in work if v is variant], out) for variant in variants]


def _is_stale(target: Path, newest: float) -> bool:
    return not target.exists() or target.stat().st_mtime < newest


def _compile(variant: Variant, source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    _run([*variant.compile, "-c", str(source), "-o", str(target)])


def _link(variant: Variant, objects: list[Path], out: Path) -> Path:
    target = out / variant.name
    with tempfile.TemporaryDirectory(dir=out) as folder:
        # A process that has loaded the old library keeps it: the new one takes its name at once, as a whole.
        linked = Path(folder) / variant.name
        stubs = [_stub(name, Path(folder)) for name in variant.needs]
        named = [part for argument in ("--no-as-needed", *stubs) for part in ("-Xlinker", argument)]
        _run([*variant.link, *map(str, objects), *named, "-o", str(linked)])
        linked.replace(target)
    return target


def _stub(name: str, folder: Path) -> str:
    """An empty library of the name of one of torch's: the linker notes the name, the loader finds the real one."""
    stub = folder / name
    _run([os.environ.get("CXX", "g++"), "-shared", f"-Wl,-soname,{name}", "-o", str(stub)])
    return str(stub)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr}")


def main() -> None:
    """Build from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cuda", action="store_true", help="also build for CUDA")
    parser.add_argument("--arch", default=os.environ.get("TORCH_CUDA_ARCH_LIST", CUDA_ARCHITECTURES))
    parser.add_argument("--out", type=Path, default=LIBRARIES)
    parser.add_argument("--objects", type=Path, default=HERE / "build", help="folder of the object files")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    args = parser.parse_args()
    found = variants(args.cuda, args.arch)
    if not found:
        sys.exit("no C++ compiler found: install g++ or set CXX. Without one, operators run in plain torch")
    for path in build(found, args.out, args.objects, args.jobs):
        print(f"{path} ({path.stat().st_size / 1024:.0f} KiB)")


if __name__ == "__main__":
    main()
