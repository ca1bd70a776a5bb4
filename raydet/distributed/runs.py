"""Reading what runs left behind or are just writing, from any storage and without a cluster."""

from __future__ import annotations

import json
import posixpath
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow.fs as pafs

from raydet.distributed.standing import STATUS, TIMELINE, Standing, read_lines
from raydet.distributed.storage import SNAPSHOT, RunFolder
from raydet.transforms.object_store import open_storage, shown

LOST_AFTER = 90.0
"""Seconds without a sign of life after which a run that says it is running is taken for dead."""
_AT_ONCE = 16


@dataclass(frozen=True)
class Run:
    """A run as its folder tells of it.

    Attributes:
        folder: of the run.
        standing: None for a run that has no record, such as one of 2.x.
    """

    folder: RunFolder
    standing: Standing | None

    @property
    def name(self) -> str:
        return self.folder.name

    def state(self, now: float | None = None) -> str:
        """As in `Standing`; "lost" when a running one gave no sign of life, "unknown" without a record."""
        if self.standing is None:
            return "unknown"
        silent = (now or time.time()) - self.standing.updated
        return "lost" if self.standing.state == "running" and silent > LOST_AFTER else self.standing.state

    def timeline(self) -> list[dict[str, Any]]:
        """The events of the run, in order; empty without a record."""
        text = _read(self.folder, TIMELINE)
        return read_lines(text or "")


def read_run(place: str) -> Run:
    """The run whose folder is `place`, a local path or a URI.

    Raises:
        FileNotFoundError: there is no such folder, or it is not that of a run.
    """
    filesystem, path = open_storage(place)
    folder = RunFolder(filesystem, posixpath.dirname(path), posixpath.basename(path), _parent(place))
    run = _run_in(folder)
    if run is None:
        raise FileNotFoundError(
            f"{shown(place)} is not the folder of a run; `raydet runs {_parent(place)}` lists those beside it"
        )
    return run


def list_runs(storage: str) -> list[Run]:
    """The runs in `storage`, a folder or URI, the one that was started last first.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    filesystem, root = open_storage(storage)
    if filesystem.get_file_info(root).type is pafs.FileType.NotFound:
        raise FileNotFoundError(f"there is no folder {shown(storage)}; name the storage of your runs")
    found = filesystem.get_file_info(pafs.FileSelector(root))
    names = [info.base_name for info in found if info.type is pafs.FileType.Directory]
    folders = [RunFolder(filesystem, root, name, shown(storage)) for name in names]
    with ThreadPoolExecutor(_AT_ONCE) as threads:  # object stores answer slowly, but many at once
        runs = [run for run in threads.map(_run_in, folders) if run is not None]
    return sorted(runs, key=lambda run: (run.standing.started if run.standing else 0.0, run.name), reverse=True)


def _run_in(folder: RunFolder) -> Run | None:
    text = _read(folder, STATUS)
    if text is not None:
        return Run(folder, Standing.from_dict(json.loads(text)))
    left = [name for name in folder.files() if name == SNAPSHOT or name.endswith((".pth", ".log.json"))]
    return Run(folder, None) if left else None


def _read(folder: RunFolder, name: str) -> str | None:
    try:
        with folder.filesystem.open_input_stream(f"{folder.path}/{name}") as stream:
            return str(stream.read().decode())
    except (FileNotFoundError, NotADirectoryError):
        return None


def _parent(place: str) -> str:
    """The storage of a run folder, as the user would write it."""
    path, mark, query = shown(place).partition("?")
    return f"{posixpath.dirname(path.rstrip('/')) or '.'}{mark}{query}"
