"""Images from files."""

from __future__ import annotations

import os

import cv2
import numpy as np

from raydet.transforms.storage import DISK, FileClientArgs, list_files, read_bytes, read_text

__all__ = [
    "COLOR_FLAGS",
    "DISK",
    "BadSampleError",
    "FileClientArgs",
    "decode_image",
    "is_truncated",
    "list_files",
    "read_bytes",
    "read_image",
    "read_text",
]

COLOR_FLAGS = {
    "color": cv2.IMREAD_COLOR,
    "grayscale": cv2.IMREAD_GRAYSCALE,
    "unchanged": cv2.IMREAD_UNCHANGED,
    "color_ignore_orientation": cv2.IMREAD_IGNORE_ORIENTATION | cv2.IMREAD_COLOR,
    "grayscale_ignore_orientation": cv2.IMREAD_IGNORE_ORIENTATION | cv2.IMREAD_GRAYSCALE,
}


class BadSampleError(ValueError):
    """A sample that cannot be used: its image is broken or its annotation makes no sense."""


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
