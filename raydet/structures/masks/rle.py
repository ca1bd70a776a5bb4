"""COCO's run-length codes of bitmaps: lengths of runs of 0 and 1 down the columns, as text of 6 bits per character.

Pixels are packed to bits at once; from there on the work grows with the number of runs, for all bitmaps together.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import cv2
import numpy as np

_WORD = 64
_ONE = np.uint64(1)
_BLOCK = 16  # rows that are looked at together when empty ones are left out


def encode_bitmaps(masks: Sequence[Any] | np.ndarray) -> list[dict[str, Any]]:
    """Run-length codes of bitmaps, byte for byte those of pycocotools.

    Args:
        masks: N arrays `(h, w)`; what is not 0 belongs to the object.

    Returns:
        N dicts of `size` [h, w] and `counts` (bytes).
    """
    if not len(masks):
        return []
    bitmaps = [_bytes(mask) for mask in masks]
    sizes = np.array([bitmap.shape for bitmap in bitmaps])
    # one piece of memory for all: asking for fresh pages costs more than the work in them
    scratch = np.empty(sizes.prod(axis=1).max(), np.uint8)
    packed = [_pack(bitmap, scratch) for bitmap in bitmaps]
    texts = _texts(*_runs(packed, sizes))
    return [{"size": size, "counts": text} for size, text in zip(sizes.tolist(), texts, strict=True)]


def _bytes(mask: Any) -> np.ndarray:
    """The same with a byte for each pixel."""
    pixels = np.asarray(mask)
    return pixels.view(np.uint8) if pixels.dtype in (np.bool_, np.uint8) else (pixels != 0).view(np.uint8)


class _Packed(NamedTuple):
    """A strip of rows or of columns of a bitmap, outside of which it is empty.

    Attributes:
        bits: the pixels down the columns, eight to a byte, lowest bit first.
        start: place of its first pixel in the bitmap, counted down the columns.
        rows: how many rows it has.
    """

    bits: np.ndarray
    start: int
    rows: int


def _pack(bitmap: np.ndarray, scratch: np.ndarray) -> _Packed:
    height, width = bitmap.shape
    if bitmap.flags.f_contiguous:
        left, right = _filled_rows(bitmap.T)
        return _Packed(np.packbits(bitmap.T[left:right].reshape(-1), bitorder="little"), left * height, height)
    top, bottom = _filled_rows(bitmap)
    rows = bottom - top
    columns = scratch[: rows * width].reshape(width, rows)
    if rows:
        cv2.transpose(bitmap[top:bottom], dst=columns)
    return _Packed(np.packbits(columns, bitorder="little"), top, rows)


def _filled_rows(bitmap: np.ndarray) -> tuple[int, int]:
    """Rows between which the object lies, with an empty one below it; all rows where there is no such row."""
    height, width = bitmap.shape
    blocks = np.arange(0, bitmap.size, _BLOCK * width)
    filled = np.flatnonzero(np.bitwise_or.reduceat(bitmap.reshape(-1), blocks)) if bitmap.size else blocks
    if not len(filled):
        return 0, 0
    top, bottom = _BLOCK * int(filled[0]), _BLOCK * int(filled[-1] + 1) + 1
    # Without an empty row at its end, a column would run on into the cropped top of the next one.
    return (top, bottom) if bottom <= height else (0, height)


def _runs(packed: Sequence[_Packed], sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lengths of the runs of 0, 1, 0, ... of all bitmaps, and `(N + 1,)` where each bitmap begins."""
    starts = np.append(0, np.cumsum([-(-len(each.bits) // 8) for each in packed]))
    bits = np.zeros(8 * int(starts[-1]), np.uint8)
    for start, each in zip(8 * starts, packed, strict=False):
        bits[start : start + len(each.bits)] = each.bits
    places = _set_bits(_changed(bits.view("<u8"), starts[:-1]))
    owner = np.repeat(np.arange(len(packed)), np.diff(np.searchsorted(places, starts * _WORD)))
    rows = np.array([max(each.rows, 1) for each in packed])
    offsets = np.array([each.start for each in packed])
    missing = sizes[:, 0] - rows
    if missing.any():
        places -= (starts[:-1] * _WORD)[owner]
        places += places // rows[owner] * missing[owner] + offsets[owner]
    else:
        places += (offsets - starts[:-1] * _WORD)[owner]
    total = sizes.prod(axis=1)
    inside = places < total[owner]  # a full last column ends where the padding begins
    places, owner = places[inside], owner[inside]
    firsts = np.append(0, np.cumsum(np.bincount(owner, minlength=len(packed)) + 1))
    ends = np.empty(firsts[-1], np.int64)
    ends[np.arange(len(places)) + owner] = places
    ends[firsts[1:] - 1] = total
    lengths = np.diff(ends, prepend=0)
    lengths[firsts[:-1]] = ends[firsts[:-1]]
    return lengths, firsts


def _changed(words: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Words with a bit where a pixel differs from the one before; a 0 stands before each of `starts`."""
    before = words << _ONE
    before[1:] |= words[:-1] >> np.uint64(_WORD - 1)
    before[starts[starts < len(words)]] &= ~_ONE
    before ^= words
    return np.asarray(before)


def _set_bits(words: np.ndarray) -> np.ndarray:
    """Ascending numbers of the bits that are set."""
    places = np.flatnonzero(words != 0)  # numpy finds bools much faster than numbers
    words = words[places]
    found = [np.zeros(0, np.int64)]
    while len(words):  # take the lowest bit off each word until none is left
        rest = words & (words - _ONE)
        lowest = np.frexp((words ^ rest).astype(np.float64))[1] - 1
        found.append(places * _WORD + lowest)
        left = np.flatnonzero(rest != 0)
        words, places = rest[left], places[left]
    return np.sort(np.concatenate(found), kind="stable")  # merges what is sorted already


def _texts(lengths: np.ndarray, firsts: np.ndarray) -> list[bytes]:
    """Runs of each bitmap as text: the difference to the run before the last, in digits of 5 bits, lowest first."""
    values = lengths.copy()
    values[2:] -= lengths[:-2]
    for skip in range(3):  # the first three runs stand for themselves
        heads = firsts[:-1] + skip
        heads = heads[heads < firsts[1:]]
        values[heads] = lengths[heads]
    sizes, digits = _digits(values)
    starts = np.cumsum(sizes) - sizes
    text = np.empty(int(sizes.sum(dtype=np.int64)), np.uint8)
    for place, (rows, characters) in enumerate(digits):
        text[starts[rows] + place] = characters
    written = text.tobytes()
    ends = np.append(starts, len(written))[firsts].tolist()
    return [written[begin:end] for begin, end in pairwise(ends)]


def _digits(values: np.ndarray) -> tuple[np.ndarray, list[tuple[Any, np.ndarray]]]:
    """How many digits each value has, and for each place the values that have a digit there, and its characters."""
    sizes = np.zeros(len(values), np.int64)
    rows: Any = slice(None)  # nearly all values have one digit
    numbers = np.arange(len(values))
    digits = []
    while len(values):
        low = values & 31
        values = values >> 5
        more = values != -(low >> 4)  # the highest bit of the last digit is the sign
        sizes[rows] += 1
        digits.append((rows, (low + 32 * more + 48).astype(np.uint8)))
        left = np.flatnonzero(more)
        rows, values = (numbers if isinstance(rows, slice) else rows)[left], values[left]
    return sizes, digits
