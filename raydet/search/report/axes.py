"""The parameters of a sweep as axes of plots."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from raydet.search.records import TrialRecord

DECADES = 20
"""Positive numbers whose largest is this many times the least are told apart by their logarithm."""


class Axis(msgspec.Struct, frozen=True):
    """One parameter.

    Args:
        name: as the sampler knows it.
        kind: numbers, numbers told apart by their logarithm, or one of several choices.
        choices: as text, in the order of the axis; empty for numbers.
        low: least value, of numbers.
        high: largest value, of numbers.
    """

    name: str
    kind: Literal["linear", "log", "choice"]
    choices: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0

    def place(self, value: Any) -> float | str:
        """A parameter's value as this axis has it."""
        return text_of(value) if self.kind == "choice" else float(value)


def axes_of(records: Sequence[TrialRecord]) -> list[Axis]:
    """An axis for each parameter that any trial has, in the order in which they were first drawn."""
    columns: dict[str, list[Any]] = {}
    for record in records:
        for name, value in record.params.items():
            columns.setdefault(name, []).append(value)
    return [_axis(name, values) for name, values in columns.items()]


def _axis(name: str, values: Sequence[Any]) -> Axis:
    if not all(is_number(value) for value in values):
        return Axis(name, "choice", tuple(sorted({text_of(value) for value in values})))
    low, high = min(values), max(values)
    return Axis(name, "log" if low > 0 and high >= DECADES * low else "linear", low=float(low), high=float(high))


def is_number(value: Any) -> bool:
    """Whether a value is a number; truth values are choices."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def text_of(value: Any) -> str:
    """A value in few characters: text as it is, numbers to four digits, all else as JSON."""
    if isinstance(value, str):
        return value
    return f"{value:.4g}" if isinstance(value, float) else json.dumps(value, default=str)
