"""Arithmetic of channel numbers."""

from __future__ import annotations


def make_divisible(value: float, divisor: int, min_value: int | None = None, min_ratio: float = 0.9) -> int:
    """Round to the nearest multiple of `divisor`, at least `min_value` and not below `min_ratio * value`.

    Args:
        value: the channel number wanted.
        divisor: what the result is a multiple of.
        min_value: lower bound; `divisor` when None.
        min_ratio: how far rounding down may go before it goes up instead.
    """
    rounded = max(divisor if min_value is None else min_value, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < min_ratio * value else rounded
