"""Writes the cluster files that are shipped in `clusters/`; `make clusters` runs it."""

from __future__ import annotations

from pathlib import Path

from raydet.distributed.clusters.dashboard import dashboard
from raydet.distributed.clusters.render import TARGETS, render

CLUSTERS = Path(__file__).parent.parent / "clusters"


def shipped() -> dict[Path, str]:
    """The files and what is in them."""
    files = {CLUSTERS / f"{name}.yaml": render(name) for name in TARGETS}
    return {**files, CLUSTERS / "monitoring" / "raydet-dashboard.json": dashboard()}


if __name__ == "__main__":
    for path, text in shipped().items():
        path.write_text(text)
