"""Bytes from disk, object stores and archives, and images from bytes."""

from __future__ import annotations

import functools
import os
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import cv2
import numpy as np

FileClientArgs = Mapping[str, Any]
DISK: FileClientArgs = {"backend": "disk"}

COLOR_FLAGS = {
    "color": cv2.IMREAD_COLOR,
    "grayscale": cv2.IMREAD_GRAYSCALE,
    "unchanged": cv2.IMREAD_UNCHANGED,
    "color_ignore_orientation": cv2.IMREAD_IGNORE_ORIENTATION | cv2.IMREAD_COLOR,
    "grayscale_ignore_orientation": cv2.IMREAD_IGNORE_ORIENTATION | cv2.IMREAD_GRAYSCALE,
}


class BadSampleError(ValueError):
    """A sample that cannot be used: its image is broken or its annotation makes no sense."""


def read_bytes(path: str | os.PathLike[str], file_client_args: FileClientArgs | None = None) -> bytes:
    """The content of a file.

    Args:
        path: a local path, or a URI such as `s3://bucket/key`, or the key in an archive.
        file_client_args: `dict(backend="disk" | "http" | "lmdb", ...)`; lmdb takes `db_path`.

    Raises:
        FileNotFoundError: no such file.
    """
    args = dict(file_client_args or DISK)
    backend = args.pop("backend", "disk")
    reader = _READERS.get(backend)
    if reader is None:
        raise ValueError(f"file_client_args.backend must be one of {sorted(_READERS)}, got {backend!r}")
    try:
        return reader(os.fspath(path), **args)
    except FileNotFoundError:
        folder = os.path.dirname(path)
        missing = f"the folder {folder}" if folder and "://" not in folder and not os.path.isdir(folder) else path
        raise FileNotFoundError(
            f"{path} cannot be read: {missing} does not exist; check data_root, img_prefix and ann_file"
        ) from None
    except IsADirectoryError:
        raise FileNotFoundError(f"{path} is a folder, a file was expected") from None


def read_text(path: str | os.PathLike[str], file_client_args: FileClientArgs | None = None) -> str:
    """The content of a text file in UTF-8."""
    return read_bytes(path, file_client_args).decode("utf-8-sig")


def _read_disk(path: str) -> bytes:
    if "://" in path:
        return _read_uri(path)
    return Path(path).read_bytes()


def _read_uri(uri: str) -> bytes:
    parts = urlsplit(uri)
    filesystem, prefix = _filesystem(urlunsplit(parts._replace(path="")), os.getpid())
    with filesystem.open_input_stream(prefix.rstrip("/") + unquote(parts.path)) as stream:
        return bytes(stream.read())


@functools.cache
def _filesystem(root: str, process: int) -> tuple[Any, str]:
    """The file system behind a URI without its path, one per process since its connections do not survive a fork."""
    from pyarrow import fs

    filesystem, prefix = fs.FileSystem.from_uri(f"{root}/" if root.endswith("//") else root)
    return filesystem, prefix


def _read_http(url: str, timeout: float = 30.0) -> bytes:
    with urllib.request.urlopen(url, timeout=timeout) as response:
        return bytes(response.read())


@functools.cache
def _open_lmdb(db_path: str) -> Any:
    import lmdb

    return lmdb.open(db_path, readonly=True, lock=False, readahead=False)


def _read_lmdb(key: str, db_path: str) -> bytes:
    with _open_lmdb(db_path).begin(write=False) as transaction:
        value = transaction.get(key.encode())
    if value is None:
        raise FileNotFoundError(key)
    return bytes(value)


_READERS: Mapping[str, Callable[..., bytes]] = {"disk": _read_disk, "http": _read_http, "lmdb": _read_lmdb}


def read_image(
    path: str | os.PathLike[str],
    color_type: str = "color",
    channel_order: str = "bgr",
    file_client_args: FileClientArgs | None = None,
) -> np.ndarray:
    """Read and decode an image, see `decode_image`."""
    return decode_image(read_bytes(path, file_client_args), color_type, channel_order, name=str(path))


def decode_image(
    content: bytes, color_type: str = "color", channel_order: str = "bgr", name: str = "image"
) -> np.ndarray:
    """Decode an image file.

    Args:
        content: the whole file.
        color_type: a key of `COLOR_FLAGS`; "color" turns the image as its EXIF orientation says.
        channel_order: "bgr" or "rgb".
        name: the file's name, for messages.

    Returns:
        `(H, W, 3)`, or `(H, W)` for grey images, or what the file holds when "unchanged".

    Raises:
        BadSampleError: the file is empty, cut short or not an image.
    """
    if color_type not in COLOR_FLAGS:
        raise ValueError(f"color_type must be one of {sorted(COLOR_FLAGS)}, got {color_type!r}")
    if channel_order not in ("bgr", "rgb"):
        raise ValueError(f"channel_order must be 'bgr' or 'rgb', got {channel_order!r}")
    if not content:
        raise BadSampleError(f"{name} is empty, an image was expected")
    if is_truncated(content):
        raise BadSampleError(f"{name} is cut short ({len(content)} bytes); copy or download it again")
    image = cv2.imdecode(np.frombuffer(content, np.uint8), COLOR_FLAGS[color_type])
    if image is None:
        raise BadSampleError(f"{name} ({len(content)} bytes) is not an image that OpenCV can decode")
    if channel_order == "rgb" and image.ndim == 3 and image.shape[2] == 3:
        cv2.cvtColor(image, cv2.COLOR_BGR2RGB, image)
    return np.asarray(image)


def is_truncated(content: bytes) -> bool:
    """Whether a JPEG, PNG or WebP lacks its end. OpenCV would fill the missing part with grey and say nothing."""
    if content.startswith(b"\xff\xd8"):
        # No end-of-image marker may stand in the compressed data, so the last one must follow the last scan.
        return content.rfind(b"\xff\xd9") < content.rfind(b"\xff\xda") or b"\xff\xda" not in content
    if content.startswith(b"\x89PNG"):
        return b"IEND" not in content[-4096:]
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return len(content) < int.from_bytes(content[4:8], "little") + 8
    return False
