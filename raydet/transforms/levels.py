"""Arguments that are levels, probabilities or lie in a range."""

from __future__ import annotations

MAX_LEVEL = 10


def check_within(name: str, value: float, low: float, high: float) -> None:
    """Raise ValueError unless `value` lies in [low, high]."""
    if not low <= value <= high:
        raise ValueError(f"{name} must lie in [{low}, {high}], got {value!r}")


def as_fraction(name: str, value: float) -> float:
    """A probability or a fraction, checked to lie in [0, 1]."""
    check_within(name, value, 0, 1)
    return value


def strength(level: float) -> float:
    """A level in [0, 10] as a fraction of the largest one."""
    check_within("level", level, 0, MAX_LEVEL)
    return level / MAX_LEVEL
