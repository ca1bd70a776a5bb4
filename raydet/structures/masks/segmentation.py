"""Whether a COCO segmentation is one, found out without decoding it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def mask_fault(segmentation: Any, height: int, width: int) -> str | None:
    """What is wrong with a mask of an image of `height` x `width`; None if nothing is."""
    if isinstance(segmentation, Mapping):
        return _rle_fault(segmentation, height, width)
    if not isinstance(segmentation, (list, tuple)) or not len(segmentation):
        return f"a mask is a list of polygons or an RLE dict, got {_shown(segmentation)}"
    return next((fault for fault in map(_polygon_fault, segmentation) if fault), None)


def _polygon_fault(polygon: Any) -> str | None:
    if hasattr(polygon, "tolist"):
        polygon = polygon.tolist()
    if not isinstance(polygon, (list, tuple)) or not all(isinstance(each, (int, float)) for each in polygon):
        return f"a polygon is a list x1, y1, x2, y2, ... of numbers, got {_shown(polygon)}"
    if len(polygon) < 6 or len(polygon) % 2:
        return f"a polygon has three points at least, two numbers each, got {len(polygon)} numbers"
    if not all(map(math.isfinite, polygon)):
        return f"a polygon has coordinates that are NaN or infinite: {_shown(polygon)}"
    return None


def _rle_fault(rle: Mapping[str, Any], height: int, width: int) -> str | None:
    size, counts = rle.get("size"), rle.get("counts")
    if list(size or ()) != [height, width]:
        return f"the RLE has size {size}, the image [{height}, {width}]"
    if not isinstance(counts, (str, bytes, list, tuple)):
        return f"the counts of an RLE are a list or a string, got {_shown(counts)}"
    try:
        runs = unpack_counts(counts) if isinstance(counts, (str, bytes)) else [int(each) for each in counts]
    except (TypeError, ValueError) as error:
        return f"the counts of the RLE are broken: {error}"
    if min(runs, default=0) < 0 or sum(runs) != height * width:
        return f"the runs of the RLE add up to {sum(runs)} pixels, the image has {height * width}"
    return None


def unpack_counts(text: str | bytes) -> list[int]:
    """The run lengths in the compressed counts of a COCO RLE.

    Each number stands in groups of five bits, lowest first, one per character from "0" on; the sixth bit says that
    more follow. From the fourth number on, they are differences to the number before the previous one.

    Raises:
        ValueError: a character is none of these, or the text ends within a number.
    """
    runs: list[int] = []
    value = shift = 0
    for code in text.encode() if isinstance(text, str) else text:
        bits = code - 48
        if not 0 <= bits < 64:
            raise ValueError(f"the character {chr(code)!r} does not occur in them")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    if shift:
        raise ValueError("they end within a number")
    return runs


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 80 else f"{text[:77]}..."
