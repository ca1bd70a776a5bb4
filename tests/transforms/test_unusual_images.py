"""Images that cameras, scanners and editors write, through the usual steps."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from raydet.structures import BitmapMasks
from raydet.transforms import Compose, DefaultFormatBundle, LoadImageFromFile, Normalize, Pad, Resize

PIXELS = cv2.resize(np.random.default_rng(0).integers(0, 255, (5, 6, 3), np.uint8), (48, 30))
"""A smooth picture `(30, 48, 3)` in BGR order."""


def written(path: Path, kind: str, pixels: np.ndarray = PIXELS, **options: Any) -> Path:
    """`pixels` in a file of a Pillow mode."""
    image = Image.fromarray(pixels[..., ::-1]).convert(kind)
    image.save(path, **options)
    return path


def processed(path: Path, channels: int = 3, **options: Any) -> dict[str, Any]:
    steps = Compose(
        [
            LoadImageFromFile(**options),
            Resize((64, 40)),
            Normalize([100.0] * channels, [50.0] * channels, to_rgb=channels == 3),
            Pad(size_divisor=32),
            DefaultFormatBundle(),
        ]
    )
    sample = steps({"img_info": {"filename": path.name}, "img_prefix": str(path.parent)})
    assert sample is not None
    return sample


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("grey.png", "L"),
        ("grey.jpg", "L"),
        ("alpha.png", "RGBA"),
        ("grey_alpha.png", "LA"),
        ("palette.png", "P"),
        ("bits.png", "1"),
        ("cmyk.jpg", "CMYK"),
        ("frame.gif", "P"),
        ("plain.bmp", "RGB"),
        ("plain.webp", "RGB"),
        ("plain.tif", "RGB"),
    ],
)
def test_colour_image_of_any_kind_has_three_channels(tmp_path: Path, name: str, kind: str) -> None:
    sample = processed(written(tmp_path / name, kind))
    assert sample["img"].data.shape == (3, 64, 64)
    assert sample["img_shape"] == (40, 64, 3)


@pytest.mark.parametrize(("name", "kind"), [("cmyk.jpg", "CMYK"), ("alpha.png", "RGBA")])
def test_colours_of_print_and_of_transparent_images_are_right(tmp_path: Path, name: str, kind: str) -> None:
    path = written(tmp_path / name, kind)
    image = LoadImageFromFile()({"img_info": {"filename": str(path)}})["img"]
    assert np.abs(image.astype(int) - PIXELS).mean() < 12


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bit_image_is_read_as_8_bit_or_as_it_is(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"deep{suffix}"
    path.write_bytes(cv2.imencode(suffix, PIXELS.astype(np.uint16) * 257)[1].tobytes())
    image = LoadImageFromFile()({"img_info": {"filename": str(path)}})["img"]
    assert image.dtype == np.uint8
    assert np.abs(image.astype(int) - PIXELS).max() <= 1
    assert LoadImageFromFile(color_type="unchanged")({"img_info": {"filename": str(path)}})["img"].dtype == np.uint16
    processed(path, color_type="unchanged")


@pytest.mark.parametrize(("kind", "channels", "color_type"), [("L", 1, "grayscale"), ("RGBA", 4, "unchanged")])
def test_other_numbers_of_channels_are_kept_if_asked(tmp_path: Path, kind: str, channels: int, color_type: str) -> None:
    sample = processed(written(tmp_path / "a.png", kind), channels, color_type=color_type)
    assert sample["img"].data.shape == (channels, 64, 64)


def exif(orientation: int) -> bytes:
    """An EXIF block whose orientation is a 32-bit number, as some editors write it."""
    directory = struct.pack("<H", 1) + struct.pack("<HHII", 274, 4, 1, orientation) + struct.pack("<I", 0)
    return b"Exif\0\0II*\0" + struct.pack("<I", 8) + directory


@pytest.mark.parametrize("orientation", [0, 9, 65537])
def test_invalid_orientation_is_ignored(tmp_path: Path, orientation: int) -> None:
    path = written(tmp_path / "a.jpg", "RGB", exif=exif(orientation))
    assert processed(path)["ori_shape"] == (30, 48, 3)


@pytest.mark.parametrize(("color_type", "shape"), [("color", (48, 30, 3)), ("color_ignore_orientation", (30, 48, 3))])
def test_valid_orientation_turns_the_image_unless_told_otherwise(
    tmp_path: Path, color_type: str, shape: tuple[int, ...]
) -> None:
    tags = Image.Exif()
    tags[274] = 6
    path = written(tmp_path / "a.jpg", "RGB", exif=tags.tobytes(), quality=95)
    sample = processed(path, color_type=color_type)
    assert sample["ori_shape"] == shape


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 20000), (20000, 2), (3, 20000)])
def test_images_of_extreme_sizes_pass(tmp_path: Path, height: int, width: int) -> None:
    content = io.BytesIO()
    Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(content, "PNG")
    (tmp_path / "a.png").write_bytes(content.getvalue())
    sample = processed(tmp_path / "a.png")
    assert min(sample["img_shape"][:2]) >= 1
    masks = BitmapMasks(np.ones((1, height, width), np.uint8), height, width).rescale((64, 40))
    assert (masks.height, masks.width) == sample["img_shape"][:2]
