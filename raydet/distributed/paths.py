"""Making the paths of a config independent of the directory that a process works in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

DATA_KEYS = ("ann_file", "img_prefix", "seg_prefix", "proposal_file", "label_file", "hierarchy_file", "meta_file")
RUN_KEYS = ("load_from", "resume_from")


def resolve_paths(cfg: Any, base: Path) -> None:
    """Make relative paths of data sets and checkpoints absolute, in place.

    Workers work in other directories than the driver. Paths below a `data_root` follow it and are left alone.

    Args:
        cfg: a whole config.
        base: what relative paths refer to, the driver's working directory.
    """
    for key in RUN_KEYS:
        if isinstance(cfg.get(key), str):
            cfg[key] = _absolute(cfg[key], base)
    _resolve_data(cfg.get("data"), base)


def _resolve_data(node: Any, base: Path) -> None:
    if isinstance(node, (list, tuple)):
        for child in node:
            _resolve_data(child, base)
    if not isinstance(node, Mapping):
        return
    keys = ("data_root",) if node.get("data_root") else DATA_KEYS
    for key in keys:
        value = node.get(key)
        if isinstance(value, str):
            node[key] = _absolute(value, base)  # type: ignore[index]
        elif isinstance(value, (list, tuple)):
            node[key] = [_absolute(item, base) if isinstance(item, str) else item for item in value]  # type: ignore[index]
    for key, child in node.items():
        if key not in keys:
            _resolve_data(child, base)


def _absolute(path: str, base: Path) -> str:
    if not path or "://" in path or path.startswith("~"):
        return path
    made = str((base / path).absolute())
    return made + "/" if path.endswith("/") else made
