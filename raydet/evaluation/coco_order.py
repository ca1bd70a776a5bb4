"""Sorting and numbering of long integer columns, faster than comparison sorts."""

from __future__ import annotations

import numpy as np

_DIGIT = np.uint64(0xFFFF)
_SIGN = np.uint64(1 << 63)


def stable_order(keys: np.ndarray, order: np.ndarray | None = None) -> np.ndarray:
    """`(N,)` rows by ascending key; equal keys keep their order.

    Args:
        keys: `(N,)` integers, not negative.
        order: `(N,)` order to start from instead of 0, 1, ... N - 1.
    """
    order = np.arange(len(keys)) if order is None else order
    keys = keys.astype(np.uint64)
    for shift in np.arange(0, int(keys.max(initial=0)).bit_length(), 16, dtype=np.uint64):
        digits = ((keys >> shift) & _DIGIT).astype(np.uint16)  # numpy sorts 16 bits by counting
        if digits.any():
            order = order[np.argsort(digits[order], kind="stable")]
    return order


def falling_order(scores: np.ndarray, order: np.ndarray | None = None) -> np.ndarray:
    """`(N,)` rows by falling float64 score; equal scores keep their order."""
    bits = (0.0 - scores).view(np.uint64)
    return stable_order(np.where(bits & _SIGN, ~bits, bits | _SIGN), order)


def places_in_runs(values: np.ndarray) -> np.ndarray:
    """`(N,)` place of each value among its equal neighbours, from 0."""
    rows = np.arange(len(values))
    begins = np.append(True, values[1:] != values[:-1])[: len(values)]
    return rows - np.maximum.accumulate(np.where(begins, rows, 0))


def positions(ids: np.ndarray, known: np.ndarray) -> np.ndarray:
    """`(N,)` place of each id among the ascending `known` ones, -1 for others."""
    if not len(known):
        return np.full(len(ids), -1)
    places = np.minimum(np.searchsorted(known, ids), len(known) - 1)
    return np.where(known[places] == ids, places, -1)
