"""Where a run keeps its files: the run folder on a local or shared disk, or in an S3 bucket."""

from __future__ import annotations

import os
import posixpath
import re
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pyarrow.fs as pafs

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


def shown(place: str) -> str:
    """A URI without the credentials in it."""
    return re.sub(r"//[^/@]*@", "//", place)


def unique_name(stem: str) -> str:
    """A name such as `retinanet_r50_fpn_1x_coco_20260131_120000_3fa9`."""
    return f"{stem}_{time.strftime('%Y%m%d_%H%M%S')}_{secrets.token_hex(2)}"


def newest_run(filesystem: pafs.FileSystem, root: str, stem: str) -> str | None:
    """The newest run of `stem` that has a name made by `unique_name`, or None."""
    selector = pafs.FileSelector(root, allow_not_found=True)
    names = [info.base_name for info in filesystem.get_file_info(selector) if info.base_name.startswith(f"{stem}_")]
    return max(names, default=None)


def open_storage(place: str) -> tuple[pafs.FileSystem, str]:
    """File system and path of a local path or URI.

    `s3://bucket/path` takes credentials, region and endpoint from the usual AWS variables and files; `?region=`,
    `?endpoint_override=` and `s3://key:secret@bucket` say them in the URI.
    """
    if "://" not in place:
        return pafs.LocalFileSystem(), str(Path(place).expanduser().absolute())
    if place.startswith("s3://"):
        return _open_s3(place)
    filesystem, path = pafs.FileSystem.from_uri(place)
    return filesystem, path.rstrip("/")


def _open_s3(uri: str) -> tuple[pafs.FileSystem, str]:
    parts = urlsplit(uri)
    if not parts.hostname:
        raise ValueError(f"an S3 storage is written s3://bucket/path, got {shown(uri)!r}")
    options: dict[str, Any] = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        options.setdefault("endpoint_override", endpoint)
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if region or "endpoint_override" in options:  # a server of one's own has no region to ask for
        options.setdefault("region", region or "us-east-1")
    if parts.username:
        options.update(access_key=unquote(parts.username), secret_key=unquote(parts.password or ""))
    unknown = set(options) - {"endpoint_override", "region", "scheme", "access_key", "secret_key"}
    if unknown:
        raise ValueError(
            f"unknown S3 options {sorted(unknown)} in {shown(uri)!r}; use region, endpoint_override or scheme"
        )
    filesystem = pafs.S3FileSystem(**options, connect_timeout=10, request_timeout=60)
    bucket = parts.netloc.rpartition("@")[2]
    return filesystem, f"{bucket}{parts.path}".rstrip("/")
