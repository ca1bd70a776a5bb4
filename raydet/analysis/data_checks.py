"""Checks of one image and its objects."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from raydet.analysis.data_sources import Entry, Object
from raydet.analysis.findings import Finding
from raydet.structures.masks.segmentation import mask_fault
from raydet.transforms.files import BadSampleError, decode_image, is_truncated, read_bytes

Size = tuple[int, int]


def check_entry(entry: Entry, file_client_args: Mapping[str, Any], decode: bool) -> Iterator[Finding]:
    """Everything that is wrong with one image and its objects.

    Args:
        entry: the image.
        file_client_args: where files lie.
        decode: also read the file.
    """
    yield from entry.findings
    if decode and entry.path is not None:
        yield from check_image(entry.path, entry.size, file_client_args)
    if not entry.objects and not entry.findings:
        yield Finding("empty image", "no objects", entry.path)
    for each in entry.objects:
        yield from check_object(each, entry.size, entry.path)


def check_image(path: str, size: Size | None, file_client_args: Mapping[str, Any]) -> Iterator[Finding]:
    """What is wrong with the file of an image that should have `size`, width and height."""
    try:
        content = read_bytes(path, file_client_args)
    except OSError as error:
        yield Finding("missing image", str(error), path)
        return
    if not content or is_truncated(content):
        yield Finding("truncated image", f"{len(content)} bytes", path)
        return
    try:
        height, width = decode_image(content, name=path).shape[:2]
    except BadSampleError as error:
        yield Finding("undecodable image", str(error), path)
        return
    if size is not None and (width, height) != tuple(size):
        yield Finding("wrong size", f"{width} x {height} pixels, annotated as {size[0]} x {size[1]}", path)


def check_object(each: Object, size: Size | None, path: str | None) -> Iterator[Finding]:
    """What is wrong with an object of an image of `size`, width and height."""
    x1, y1, x2, y2 = each.box
    if not all(map(math.isfinite, each.box)):
        yield Finding("not finite", f"box {_shown(each)}", path)
        return
    if each.name is None:
        yield Finding("unknown category", f"category {each.category} of box {_shown(each)}", path, each.box)
    elif not each.is_used:
        yield Finding("unused class", each.name, path, each.box)
    if each.is_crowd:
        yield Finding("crowd", f"box {_shown(each)}", path, each.box)
    if x2 <= x1 or y2 <= y1:
        yield Finding("zero-size box", f"box {_shown(each)}", path, each.box)
    elif size is not None:
        yield from _check_place(each, size, path)
    if each.segmentation is not None and each.segmentation != [] and size is not None:
        fault = mask_fault(each.segmentation, size[1], size[0])
        if fault is not None:
            yield Finding("not finite" if "NaN" in fault else "wrong mask", fault, path, each.box)


def _check_place(each: Object, size: Size, path: str | None) -> Iterator[Finding]:
    (x1, y1, x2, y2), (width, height) = each.box, size
    where = f"box {_shown(each)}, the image has {width} x {height} pixels"
    if x2 <= 0 or y2 <= 0 or x1 >= width or y1 >= height:
        yield Finding("box outside", where, path, each.box)
    elif min(x1, y1) < -1 or x2 > width + 1 or y2 > height + 1:
        yield Finding("box beyond edge", where, path, each.box)


def _shown(each: Object) -> str:
    return f"({', '.join(f'{value:g}' for value in each.box)})"
