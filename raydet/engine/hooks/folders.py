"""Where hooks put their files."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raydet.checkpoint.store import CheckpointStore
from raydet.transforms.object_store import open_storage

_REMOTE = ("s3", "petrel", "ceph")


def is_remote(folder: str | Path) -> bool:
    """Whether a folder is a URI such as `s3://bucket/runs`."""
    return "://" in str(folder)


def folder_below(out_dir: str | None, work_dir: str | Path) -> str:
    """The folder inside `out_dir` that is named like the work dir; the work dir itself when `out_dir` is None.

    An `out_dir` that ends with that name is taken as it is.
    """
    name = Path(work_dir).name
    if not out_dir:
        return str(work_dir)
    place, mark, options = out_dir.partition("?") if is_remote(out_dir) else (out_dir, "", "")
    place = place.rstrip("/")
    if place.rpartition("/")[2] != name:
        place = f"{place}/{name}"
    return f"{place}{mark}{options}"


class CheckpointPlace:
    """The part of a hook that knows where its checkpoints go: mix it in before `Hook`.

    Attributes:
        out_dir: what the config says; once a run has begun, the local folder.
    """

    out_dir: str | None
    _store: CheckpointStore | None = None
    """Where rank 0 sends them, if `out_dir` was a URI."""

    def before_run(self, runner: Any) -> None:
        self.out_dir = folder_below(self.out_dir, runner.work_dir)
        if is_remote(self.out_dir):
            self._store = CheckpointStore(self.out_dir, runner.logger) if runner.rank == 0 else None
            self.out_dir = str(runner.work_dir)

    def after_run(self, runner: Any) -> None:
        if self._store is not None:
            self._store.close()


def copy_into(path: Path, folder: str) -> None:
    """Copy a file into a local folder or one in object storage; folders are made."""
    if is_remote(folder):
        import pyarrow.fs as pafs

        filesystem, place = open_storage(folder)
        pafs.copy_files(str(path), f"{place}/{path.name}", destination_filesystem=filesystem)
    else:
        Path(folder).mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, folder)


def check_backend(file_client_args: Mapping[str, Any] | None, out_dir: str | None) -> None:
    """Raise ValueError for a 2.x file client that is of another kind than `out_dir`."""
    backend = (file_client_args or {}).get("backend")
    if backend in (None, "disk") or (backend in _REMOTE and is_remote(out_dir or "")):
        return
    raise ValueError(
        f"file_client_args={dict(file_client_args or {})!r} does not fit out_dir={out_dir!r}; write out_dir as a URI "
        "such as 's3://bucket/runs', which needs no file_client_args, or name a remote folder as the storage of the "
        "whole run"
    )
