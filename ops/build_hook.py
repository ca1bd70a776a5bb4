"""Builds the kernels while raydet is being installed; without a compiler the install goes on without them."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class KernelHook(BuildHookInterface):  # type: ignore[type-arg]
    """Compiles for the CPU and, where nvcc is found, for CUDA; `RAYDET_BUILD=none|cpu|all` decides otherwise."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the libraries into the package and mark the wheel as one of this platform, for every Python."""
        sys.path.insert(0, str(Path(self.root) / "ops"))
        import build_kernels

        wanted = os.environ.get("RAYDET_BUILD", "all")
        cuda = wanted == "all" and shutil.which("nvcc") is not None
        architectures = os.environ.get("TORCH_CUDA_ARCH_LIST", build_kernels.CUDA_ARCHITECTURES)
        variants = build_kernels.variants(cuda, architectures) if wanted != "none" else []
        if not variants:
            self.app.display_warning("raydet: no kernels are built; operators will run in plain torch")
            return
        for variant in variants:
            self._build(build_kernels, variant)
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"

    def _build(self, build_kernels: Any, variant: Any) -> None:
        """Build one library; the words of a compiler that fails are kept for `python -m raydet_ops`."""
        out, objects = build_kernels.LIBRARIES, Path(self.root) / "ops" / "build"
        log = out / f"{variant.name}.log"
        log.unlink(missing_ok=True)
        try:
            build_kernels.build([variant], out, objects, os.cpu_count() or 1)
        except RuntimeError as error:
            self.app.display_warning(f"raydet: {variant.name} is not built: {error}")
            out.mkdir(parents=True, exist_ok=True)
            log.write_text(str(error))
