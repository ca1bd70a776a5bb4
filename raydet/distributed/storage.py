"""Where a run keeps its files: the run folder on a local or shared disk, or in an S3 bucket."""

from __future__ import annotations

import json
import os
import posixpath
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

import pyarrow.fs as pafs

from raydet.distributed.patient import direct, patient, send_file
from raydet.transforms.object_store import open_storage, shown
from raydet.transforms.patience import PATIENCE, persistently

__all__ = ["RunFolder", "newest_run", "open_run_folder", "open_storage", "shown", "unique_name"]

DEFAULT_STORAGE = "work_dirs"
SNAPSHOT = "checkpoint_manager_snapshot.json"
_UNFINISHED = (".validate_storage_marker",)


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run, `<root>/<name>` on a file system.

    Args:
        filesystem: where the folder is, with patience when that is not a disk; it travels to the workers, credentials
            of the default chain do not.
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

    def files(self, below: str = "") -> list[str]:
        """Names in the folder, or in one below it, sorted; empty when it does not exist."""
        selector = pafs.FileSelector(posixpath.join(self.path, below).rstrip("/"), allow_not_found=True)
        return sorted(info.base_name for info in self.filesystem.get_file_info(selector))

    def checkpoints(self) -> list[str]:
        """Names of the checkpoint folders in it."""
        return [name for name in self.files() if name.startswith("checkpoint_") and name != SNAPSHOT]

    def registered(self) -> list[str]:
        """Those of them that Ray Train has noted as complete, the newest first."""
        if SNAPSHOT not in self.files():
            return []
        noted = json.loads(self.read(SNAPSHOT))
        names = [result["checkpoint_dir_name"] for result in noted["checkpoint_results"]]
        return [name for _, name in sorted(zip(noted["checkpoint_report_indices"], names, strict=True), reverse=True)]

    def send(self, source: Path, name: str, patience: float = PATIENCE) -> None:
        """Copy a local file to `name` in the folder, whole or not at all, trying for `patience` seconds.

        Raises:
            OSError: it cannot be written, or the storage did not answer in that time.
        """
        filesystem, target = direct(self.filesystem), posixpath.join(self.path, name)

        def send() -> None:
            if "/" in name:
                filesystem.create_dir(posixpath.dirname(target))
            send_file(str(source), filesystem, target)

        persistently(send, str(self), remote=self.local is None, patience=patience)

    def read(self, name: str) -> str:
        """The text of a file in the folder."""
        with self.filesystem.open_input_stream(posixpath.join(self.path, name)) as stream:
            return bytes(stream.read()).decode()

    def write(self, name: str, text: str) -> None:
        """Write a small file, which is seen whole or not at all."""
        target = posixpath.join(self.path, name)
        self.filesystem.create_dir(posixpath.dirname(target))
        if self.local is None:
            with self.filesystem.open_output_stream(target) as stream:
                stream.write(text.encode())
            return
        path = Path(target)
        fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        fresh.write_text(text)
        fresh.replace(path)

    def fetch(self, name: str, into: Path) -> Path:
        """Bring the files of the folder `name` to a new folder of that name below `into`.

        Raises:
            FileNotFoundError: there is nothing under that name.
        """
        filesystem, source = direct(self.filesystem), posixpath.join(self.path, name)
        (into / name).mkdir(parents=True)
        persistently(
            lambda: pafs.copy_files(source, str(into / name), source_filesystem=filesystem), str(self), remote=True
        )
        if not any((into / name).iterdir()):
            raise FileNotFoundError(f"{self} holds no checkpoint {name}")
        return into / name

    def remove(self, name: str) -> None:
        """Remove a file or folder; one that is not there is no error."""
        target = posixpath.join(self.path, name)
        kind = self.filesystem.get_file_info(target).type
        if kind == pafs.FileType.Directory:
            self.filesystem.delete_dir(target)
        elif kind == pafs.FileType.File:
            self.filesystem.delete_file(target)

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
    folder = RunFolder(patient(filesystem, shown(label)), root, name, shown(label))
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
