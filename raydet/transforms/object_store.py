"""File systems behind paths and URIs: the disk, S3 and what else pyarrow reaches."""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:  # takes a second to import, which those whose files lie on a disk need not wait for
    import pyarrow.fs as pafs

S3_OPTIONS = ("endpoint_override", "region", "scheme", "access_key", "secret_key", "session_token", "anonymous")


def shown(place: str) -> str:
    """A URI without the credentials in it."""
    return re.sub(r"//[^/@]*@", "//", place)


def open_storage(place: str) -> tuple[pafs.FileSystem, str]:
    """File system and path of a local path or URI.

    `s3://bucket/path` takes credentials, region and endpoint from the usual AWS variables and files; `?region=`,
    `?endpoint_override=` and `s3://key:secret@bucket` say them in the URI.
    """
    import pyarrow.fs as pafs

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
    unknown = set(options) - {"endpoint_override", "region", "scheme"}
    if unknown:
        raise ValueError(
            f"unknown S3 options {sorted(unknown)} in {shown(uri)!r}; use region, endpoint_override or scheme"
        )
    login, _, bucket = parts.netloc.rpartition("@")
    return s3_filesystem(login, **options), f"{bucket}{parts.path}".rstrip("/")


def s3_filesystem(login: str = "", **options: Any) -> pafs.FileSystem:
    """An S3 client.

    Args:
        login: `key:secret`, percent-encoded; the usual AWS variables and files when empty.
        options: some of `S3_OPTIONS`; endpoint and region otherwise come from the usual AWS variables.
    """
    import pyarrow.fs as pafs

    unknown = set(options) - set(S3_OPTIONS)
    if unknown:
        raise ValueError(f"unknown S3 options {sorted(unknown)}; there are {', '.join(S3_OPTIONS)}")
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        options.setdefault("endpoint_override", endpoint)
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if region or "endpoint_override" in options:  # a server of one's own has no region to ask for
        options.setdefault("region", region or "us-east-1")
    if login:
        key, _, secret = login.partition(":")
        options.update(access_key=unquote(key), secret_key=unquote(secret))
    return pafs.S3FileSystem(**options, connect_timeout=10, request_timeout=60)


def read_object(uri: str, **options: Any) -> bytes:
    """The content behind a URI.

    Args:
        uri: `s3://bucket/key`, its key taken letter by letter, or another URI that pyarrow knows.
        options: of the S3 client, see `s3_filesystem`.
    """
    filesystem, path = _locate(uri, options)
    with filesystem.open_input_stream(path) as stream:
        return bytes(stream.read())


def list_objects(place: str, **options: Any) -> list[str]:
    """Paths of all files below a local folder or URI, relative to it, sorted; none where there is no such folder."""
    import pyarrow.fs as pafs

    filesystem, path = _locate(place, options) if "://" in place else open_storage(place)
    selector = pafs.FileSelector(path, allow_not_found=True, recursive=True)
    files = (info.path for info in filesystem.get_file_info(selector) if info.is_file)
    return sorted(os.path.relpath(file, path) for file in files)


def _locate(uri: str, options: dict[str, Any]) -> tuple[pafs.FileSystem, str]:
    scheme, _, rest = uri.partition("://")
    place, slash, key = rest.partition("/")
    if scheme == "s3":
        login, _, bucket = place.rpartition("@")
        return _client(f"s3://{login}", os.getpid(), tuple(sorted(options.items()))), f"{bucket}/{key}"
    filesystem, prefix = _client(f"{scheme}://{place}{slash}", os.getpid(), ())
    return filesystem, prefix.rstrip("/") + "/" + unquote(key)


@functools.cache
def _client(root: str, process: int, options: tuple[tuple[str, Any], ...]) -> Any:
    """What reaches the files below `root`, one per process since connections do not survive a fork."""
    import pyarrow.fs as pafs

    if root.startswith("s3://"):
        return s3_filesystem(root.removeprefix("s3://"), **dict(options))
    return pafs.FileSystem.from_uri(root)
