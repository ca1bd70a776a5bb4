"""Where a run keeps its files: the run folder on a local or shared disk, or in an S3 bucket."""

from __future__ import annotations

import os
import posixpath
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

import pyarrow.fs as pafs

from raydet.transforms.object_store import open_storage, shown

__all__ = ["RunFolder", "newest_run", "open_run_folder", "open_storage", "shown", "unique_name"]

DEFAULT_STORAGE = "work_dirs"
SNAPSHOT = "checkpoint_manager_snapshot.json"
_UNFINISHED = (".validate_storage_marker",)


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run, `<root>/<name>` on a file system.

    Args:
        filesystem: where the folder is; it travels to the workers, credentials of the default chain do not.
        root: folder of all runs, as a path of `filesystem`.
        name: the run.
        label: the place as the user wrote it, without credentials, for messages.
    """

    filesystem: pafs.FileSystem
    root: str
    name: str
    label: str

    @property
    def path(self) -> str:
        return posixpath.join(self.root, self.name)

    @property
    def local(self) -> Path | None:
        """The folder as a path of this machine, None for object storage."""
        return Path(self.path) if isinstance(self.filesystem, pafs.LocalFileSystem) else None

    def files(self) -> list[str]:
        """Names in the folder, sorted; empty when it does not exist."""
        selector = pafs.FileSelector(self.path, allow_not_found=True)
        return sorted(info.base_name for info in self.filesystem.get_file_info(selector))

    def is_used(self) -> bool:
        return any(name not in _UNFINISHED for name in self.files())

    def __str__(self) -> str:
        place, mark, query = self.label.partition("?")
        return f"{place.rstrip('/')}/{self.name}{mark}{query}"


def open_run_folder(
    storage: str | os.PathLike[str] | None, name: str | None, *, stem: str, resume: bool, work_dir: str | None = None
) -> RunFolder:
    """Choose the folder of a run.

    Args:
        storage: folder of all runs: a local path or a URI such as `s3://bucket/runs`; `work_dirs` when None.
        name: name of the run; a new unique one when None, or with `resume` the newest run of `stem`.
        stem: how new names start, usually the name of the config file.
        resume: go on with a run that exists.
        work_dir: a local run folder as one path, in place of `storage` and `name`.

    Raises:
        ValueError: the name is taken and `resume` is false, or there is no run to go on with.
    """
    if work_dir is not None:
        if storage is not None or name is not None:
            raise ValueError(f"work_dir={work_dir!r} is the whole run folder; give either it or storage and name")
        path = Path(work_dir).absolute()
        storage, name = str(path.parent), path.name
    label = os.fspath(storage) if storage is not None else DEFAULT_STORAGE
    filesystem, root = open_storage(label)
    if name is None:
        name = newest_run(filesystem, root, stem) if resume else unique_name(stem)
    if name is None:
        raise ValueError(
            f"resume=True, but {shown(label)} holds no run of {stem!r}; name the run, or start it without resume"
        )
    if posixpath.basename(name) != name or name in ("", ".", ".."):
        raise ValueError(f"a run is named by one path element, got name={name!r}; put the folders into storage")
    folder = RunFolder(filesystem, root, name, shown(label))
    if not resume and folder.is_used():
        raise ValueError(
            f"the run folder {folder} already holds a run ({', '.join(folder.files()[:4])}, ...); "
            "pass resume=True (--resume) to go on with it, or choose another name"
        )
    return folder


def unique_name(stem: str) -> str:
    """A name such as `retinanet_r50_fpn_1x_coco_20260131_120000_3fa9`."""
    return f"{stem}_{time.strftime('%Y%m%d_%H%M%S')}_{secrets.token_hex(2)}"


def newest_run(filesystem: pafs.FileSystem, root: str, stem: str) -> str | None:
    """The newest run of `stem` that has a name made by `unique_name`, or None."""
    selector = pafs.FileSelector(root, allow_not_found=True)
    names = [info.base_name for info in filesystem.get_file_info(selector) if info.base_name.startswith(f"{stem}_")]
    return max(names, default=None)
