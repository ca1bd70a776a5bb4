"""Keeping the best checkpoints of a run whose evaluations are made in tasks of their own."""

from __future__ import annotations

import posixpath
import shutil
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from raydet.distributed.storage import RunFolder
from raydet.engine.hooks.best import Ranking, check_count


def keep_best(
    folder: RunFolder, section: Mapping[str, Any], position: Mapping[str, Any], found: Sequence[Mapping[str, Any]]
) -> str | None:
    """Copy a checkpoint that is among the best to `best_*.pth` in the run folder, and remove what it drives out.

    Args:
        folder: of the run.
        section: the config's `evaluation`.
        position: of the checkpoint: its `name`, such as `epoch_3`, and the folder of the `checkpoint`.
        found: all evaluations, this one included.

    Returns:
        A line that says so, None when nothing changed.
    """
    of_this = next(record["metrics"] for record in found if record["name"] == position["name"])
    ranking = Ranking.of(section, of_this)
    if ranking is None:
        return None
    scores = {record["name"]: record["metrics"][ranking.key] for record in found if record.get("metrics")}
    best = ranking.best(scores, check_count(section.get("keep_best", 1)))
    if position["name"] not in best:
        return None
    prefix = f"best_{ranking.key}_"
    _copy(folder, str(position["checkpoint"]), f"{prefix}{position['name']}")
    for name in folder.files():
        path = PurePosixPath(name.removesuffix(".sha256"))
        if name.startswith(prefix) and path.stem.removeprefix(prefix) not in best:
            folder.remove(name)
    return f"best {ranking.key} is {scores[best[0]]:.4f} at {best[0]}"


def _copy(folder: RunFolder, checkpoint: str, stem: str) -> None:
    """Copy a checkpoint inside the run folder, without taking it through this machine where the storage can do that."""
    for name in sorted(folder.files(checkpoint)):
        file = name.removesuffix(".sha256")
        source, target = f"{checkpoint}/{name}", f"{stem}{PurePosixPath(file).suffix}"
        if name != file:
            digest = folder.read(source).split()[0]
            folder.write(f"{target}.sha256", f"{digest}  {target}\n")
        elif folder.local is not None:
            shutil.copyfile(folder.local / source, folder.local / f".{target}")
            (folder.local / f".{target}").replace(folder.local / target)
        else:
            paths = (posixpath.join(folder.path, each) for each in (source, target))
            folder.filesystem.copy_file(*paths)
