"""Sizes of images, without decoding them."""

from __future__ import annotations

import io

from PIL import ExifTags, Image, UnidentifiedImageError

from raydet.transforms.files import BadSampleError, FileClientArgs, read_bytes

_ON_ITS_SIDE = (5, 6, 7, 8)


def read_image_size(path: str, file_client_args: FileClientArgs | None = None) -> tuple[int, int]:
    """Width and height of an image, turned as its EXIF orientation says.

    Raises:
        FileNotFoundError: no such file.
        BadSampleError: it is not an image.
    """
    try:
        with Image.open(io.BytesIO(read_bytes(path, file_client_args))) as image:
            width, height = image.size
            orientation = image.getexif().get(ExifTags.Base.Orientation)
    except UnidentifiedImageError:
        raise BadSampleError(f"{path} is not an image, its size cannot be read") from None
    return (height, width) if orientation in _ON_ITS_SIDE else (width, height)
