"""The one storage layer: files on disk, in object stores, behind web servers and in archives."""

from __future__ import annotations

import functools
import os
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from raydet.transforms.embedded import read_embedded
from raydet.transforms.object_store import list_objects, read_object, shown
from raydet.transforms.patience import PATIENCE, persistently

FileClientArgs = Mapping[str, Any]
DISK: FileClientArgs = {"backend": "disk"}
_ADVICE = "check data_root, img_prefix and ann_file"


class _NotThereError(FileNotFoundError):
    """Its text says all that there is to say."""


def read_bytes(path: str | os.PathLike[str], file_client_args: FileClientArgs | None = None) -> bytes:
    """The content of a file.

    Storage that does not answer is waited for, see `raydet.transforms.patience`.

    Args:
        path: a local path; a URI such as `s3://bucket/key`, `https://...`, `zip://archive.zip!/member` or
            `parquet://file.parquet!row`; or the key in an archive.
        file_client_args: `dict(backend=..., ...)` with one of
            `disk` (the default): local paths and URIs;
            `s3`, with options of the client such as `endpoint_override`;
            `http`, with `timeout` in seconds;
            `zip`, with the `archive` that paths lie in; `lmdb`, with the `db_path` of keys;
            `petrel` or `ceph`, with `path_mapping` from starts of paths to `s3://...`.
            All take `patience`, the seconds that a file is tried for.

    Raises:
        FileNotFoundError: no such file.
        PermissionError: it may not be read.
        ConnectionError: its storage does not answer.
    """
    name = os.fspath(path)
    args = dict(file_client_args or DISK)
    backend, patience = args.pop("backend", "disk"), args.pop("patience", PATIENCE)
    reader = _READERS.get(backend)
    if reader is None:
        raise ValueError(f"file_client_args.backend must be one of {sorted(_READERS)}, got {backend!r}")
    remote = backend not in ("disk", "zip", "lmdb") or _is_remote(name)
    try:
        return persistently(lambda: reader(name, **args), name, remote=remote, patience=patience)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{shown(name)} cannot be read: {_missing(name, error)}; {_ADVICE}") from None
    except IsADirectoryError:
        raise FileNotFoundError(f"{name} is a folder, a file was expected") from None
    except ConnectionError:
        raise
    except OSError as error:
        if remote:
            raise PermissionError(f"{shown(name)} cannot be read: {error}; check the credentials") from None
        raise


def _is_remote(name: str) -> bool:
    return "://" in name.removeprefix("parquet://") and not name.startswith(("file://", "zip://"))


def _missing(name: str, error: FileNotFoundError) -> str:
    """What of a path is not there."""
    folder = os.path.dirname(name)
    if isinstance(error, _NotThereError):
        return str(error)
    missing = f"the folder {folder}" if folder and "://" not in folder and not os.path.isdir(folder) else shown(name)
    return f"{missing} does not exist"


def read_text(path: str | os.PathLike[str], file_client_args: FileClientArgs | None = None) -> str:
    """The content of a text file in UTF-8."""
    return read_bytes(path, file_client_args).decode("utf-8-sig")


def list_files(folder: str, file_client_args: FileClientArgs | None = None) -> list[str]:
    """Paths of all files below a folder, relative to it, sorted; none where there is no such folder.

    Raises:
        ValueError: the storage cannot list, as web servers and LMDB.
    """
    args = dict(file_client_args or DISK)
    backend, patience = args.pop("backend", "disk"), args.pop("patience", PATIENCE)
    if backend in ("petrel", "ceph"):
        folder = _mapped(folder, args.get("path_mapping"))
        args = {}
    archive, member = (args["archive"], folder) if backend == "zip" else _split_zip(folder)
    if archive:
        start = f"{member.rstrip('/')}/" if member.strip("/") else ""
        names = (each for each in _open_zip(archive, os.getpid()).namelist() if not each.endswith("/"))
        return sorted(each.removeprefix(start) for each in names if each.startswith(start))
    if backend in ("http", "lmdb") or folder.startswith(("http://", "https://")):
        raise ValueError(f"{folder}: the files of an {backend} storage cannot be listed; use disk, s3 or zip")
    return persistently(lambda: list_objects(folder, **args), folder, remote=_is_remote(folder), patience=patience)


def _read_disk(path: str) -> bytes:
    if "://" not in path:
        return Path(path).read_bytes()
    if path.startswith(("http://", "https://")):
        return _read_http(path)
    if path.startswith("parquet://"):
        return read_embedded(path)
    archive, member = _split_zip(path)
    return _read_zip(member, archive) if archive else read_object(path)


def _read_http(url: str, timeout: float = 30.0) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=timeout) as response:
            return bytes(response.read())
    except urllib.error.HTTPError as error:
        if error.code in (404, 410):
            raise _NotThereError(f"{url} answers {error.code}") from None
        raise


def _split_zip(path: str) -> tuple[str, str]:
    """Archive and member of `zip://archive!/member`; an empty archive for other paths."""
    if not path.startswith("zip://"):
        return "", path
    archive, mark, member = path.removeprefix("zip://").partition("!/")
    if not mark:
        raise ValueError(f"a file in a zip archive is written zip://archive.zip!/path, got {path!r}")
    return archive, member


def _read_zip(member: str, archive: str) -> bytes:
    try:
        return _open_zip(archive, os.getpid()).read(member.lstrip("/"))
    except KeyError:
        raise _NotThereError(f"{archive} has no member {member}") from None


@functools.cache
def _open_zip(archive: str, process: int) -> zipfile.ZipFile:
    """An archive, opened once per process since a file's position is shared across a fork."""
    return zipfile.ZipFile(archive)


def _read_lmdb(key: str, db_path: str, **options: Any) -> bytes:
    with _open_lmdb(db_path, os.getpid(), tuple(sorted(options.items()))).begin(write=False) as transaction:
        value = transaction.get(key.encode())
    if value is None:
        raise _NotThereError(f"{db_path} has no key {key}")
    return bytes(value)


@functools.cache
def _open_lmdb(db_path: str, process: int, options: tuple[tuple[str, Any], ...]) -> Any:
    try:
        import lmdb
    except ImportError:
        raise ImportError("backend='lmdb' needs the package lmdb; pip install lmdb") from None
    if not os.path.exists(db_path):
        raise _NotThereError(f"there is no LMDB {db_path}")
    return lmdb.open(db_path, **{"readonly": True, "lock": False, "readahead": False, **dict(options)})


def _read_petrel(path: str, path_mapping: Mapping[str, str] | None = None, **ignored: Any) -> bytes:
    return _read_disk(_mapped(path, path_mapping))


def _mapped(path: str, path_mapping: Mapping[str, str] | None) -> str:
    """Where 2.x's object store client looks for a path: its start replaced, and the name of a cluster left out."""
    starts = (start for start in path_mapping or () if path.startswith(start))
    start = max(starts, key=len, default=None)
    if start is not None and path_mapping is not None:
        path = path_mapping[start] + path[len(start) :]
    return path[path.index("s3://") :] if "s3://" in path else path


_READERS: Mapping[str, Callable[..., bytes]] = {
    "disk": _read_disk,
    "s3": read_object,
    "http": _read_http,
    "zip": _read_zip,
    "lmdb": _read_lmdb,
    "petrel": _read_petrel,
    "ceph": _read_petrel,
}
