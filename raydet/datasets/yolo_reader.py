"""Reading labels in the layout of YOLO."""

from __future__ import annotations

import os.path as osp
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import yaml

from raydet.datasets.image_size import read_image_size
from raydet.transforms.files import FileClientArgs, list_files, read_text

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
_THREADS = 16
_LARGEST_FRACTION = 2.0  # objects may reach out of their image; what is larger still was meant in pixels


class Split(NamedTuple):
    """The files of a split.

    Attributes:
        images: folder of the images.
        files: the images, below it.
        labels: the label file of each.
        classes: names of the classes, None where no file says them.
    """

    images: str
    files: list[str]
    labels: list[str]
    classes: list[str] | None


def find_split(place: str, split: str, img_prefix: str, file_client_args: FileClientArgs) -> Split:
    """Find the files of a split.

    Args:
        place: `data.yaml`, or the folder of the label files.
        split: which split of the `data.yaml`.
        img_prefix: folder of the images, if it is not where it usually is.
        file_client_args: where all of it lies.

    Raises:
        FileNotFoundError: there are no images.
        ValueError: the `data.yaml` has no such split.
    """
    if not place.endswith((".yaml", ".yml")):
        images = img_prefix or _sibling(place, "labels", "images")
        return _in_folder(images, place, _classes_near(place, file_client_args), file_client_args)
    content = yaml.safe_load(read_text(place, file_client_args)) or {}
    source = content.get(split)
    if not isinstance(source, str):
        known = [key for key in ("train", "val", "test") if key in content]
        raise ValueError(f"{place}: {split!r} must be a folder or a list of images, got {source!r}; there are {known}")
    root, classes = _below(osp.dirname(place), content.get("path") or ""), _classes(content.get("names"), place)
    if source.endswith(".txt"):
        names = [line.strip().removeprefix("./") for line in read_text(_below(root, source)).splitlines()]
        files = [name for name in names if name]
        labels = [_label_file(_sibling(_below(root, name), "images", "labels")) for name in files]
        return Split(root, files, labels, classes)
    images = img_prefix or _below(root, source)
    if source.startswith("../") and not osp.isdir(images):  # as exports of Roboflow have it
        images = _below(root, source.removeprefix("../"))
    return _in_folder(images, _sibling(images, "images", "labels"), classes, file_client_args)


def read_split(split: Split, classes: Sequence[str], file_client_args: FileClientArgs) -> dict[str, Any]:
    """The images and labels of a split as the content of a COCO annotation file.

    Raises:
        ValueError: a label file has a line that is no label.
    """

    def read(pair: tuple[str, str]) -> tuple[tuple[int, int], str]:
        image, labels = pair
        try:
            text = read_text(labels, file_client_args)
        except FileNotFoundError:
            text = ""
        return read_image_size(osp.join(split.images, image), file_client_args), text

    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    with ThreadPoolExecutor(_THREADS) as pool:  # waits for files more than it computes
        contents = pool.map(read, zip(split.files, split.labels, strict=True))
        for name, labels, (size, text) in zip(split.files, split.labels, contents, strict=True):
            images.append({"id": len(images), "file_name": name, "width": size[0], "height": size[1]})
            for found in _parse(text, size, len(classes), labels):
                annotations.append({"id": len(annotations) + 1, "image_id": images[-1]["id"], **found})
    categories = [{"id": label, "name": name} for label, name in enumerate(classes)]
    return {"images": images, "annotations": annotations, "categories": categories}


def _parse(text: str, size: tuple[int, int], num_classes: int, path: str) -> Iterator[dict[str, Any]]:
    """The objects of a label file in pixels."""
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words:
            continue
        try:
            label, values = int(float(words[0])), np.array(words[1:], np.float64)
        except ValueError:
            raise ValueError(f"{path}:{number}: a label is made of numbers, got {line!r}") from None
        if len(values) != 4 and (len(values) < 6 or len(values) % 2):
            raise ValueError(
                f"{path}:{number}: expected a class and x, y, width, height, or a class and the corners of a polygon, "
                f"got {len(words)} numbers"
            )
        if not 0 <= label < num_classes:
            raise ValueError(f"{path}:{number}: class {label} is none of the {num_classes} classes (0 is the first)")
        if not (np.abs(values) <= _LARGEST_FRACTION).all():
            raise ValueError(f"{path}:{number}: values are fractions of the image size, got {line!r}")
        yield {"category_id": label, **_in_pixels(values.reshape(-1, 2) * size)}


def _in_pixels(points: np.ndarray) -> dict[str, Any]:
    """An object with centre and size `(2, 2)`, or with the corners of its polygon `(P, 2)`."""
    if len(points) == 2:
        corner, extent = points[0] - points[1] / 2, points[1]
        return {"bbox": [*corner.tolist(), *extent.tolist()], "area": float(extent.prod())}
    corner, extent = points.min(axis=0), np.ptp(points, axis=0)
    x, y = points.T
    area = abs(float(x @ np.roll(y, 1) - y @ np.roll(x, 1))) / 2
    return {"bbox": [*corner.tolist(), *extent.tolist()], "area": area, "segmentation": [points.ravel().tolist()]}


def _in_folder(images: str, labels: str, classes: list[str] | None, file_client_args: FileClientArgs) -> Split:
    files = [name for name in list_files(images, file_client_args) if name.lower().endswith(IMAGE_SUFFIXES)]
    if not files:
        raise FileNotFoundError(f"there are no images in {images}; check data_root, img_prefix and ann_file")
    return Split(images, files, [_label_file(osp.join(labels, name)) for name in files], classes)


def _label_file(image: str) -> str:
    return f"{osp.splitext(image)[0]}.txt"


def _below(root: str, path: str) -> str:
    joined = osp.join(root, path)
    return joined if "://" in joined else osp.normpath(joined)


def _sibling(path: str, name: str, other: str) -> str:
    """`path` with its last part that is `name` replaced."""
    parts = path.rstrip("/").split("/")
    if name not in parts:
        raise ValueError(f"no part of {path} is {name!r}, to be replaced by {other!r}; give ann_file and img_prefix")
    last = len(parts) - 1 - parts[::-1].index(name)
    return "/".join([*parts[:last], other, *parts[last + 1 :]])


def _classes(names: Any, path: str) -> list[str] | None:
    """Names from a list, or from a dict by label."""
    if not isinstance(names, Mapping):
        return None if names is None else [str(name) for name in names]
    if sorted(names) != list(range(len(names))):
        raise ValueError(f"{path}: names must be those of the classes 0, 1, 2 ..., got {list(names)[:10]}")
    return [str(names[label]) for label in range(len(names))]


def _classes_near(labels: str, file_client_args: FileClientArgs) -> list[str] | None:
    """What a `classes.txt` or `data.yaml` says, in the folder of the labels or in one of the two above it."""
    folder = labels.rstrip("/")
    for _ in range(3):
        for name in ("classes.txt", "data.yaml"):
            try:
                text = read_text(osp.join(folder, name), file_client_args)
            except FileNotFoundError:
                continue
            lines = [line.strip() for line in text.splitlines() if line.strip()]
            return lines if name == "classes.txt" else _classes((yaml.safe_load(text) or {}).get("names"), name)
        folder = osp.dirname(folder)
    return None
