"""The parameters of a sweep as axes of plots."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec

from raydet.search.records import TrialRecord

DECADES = 20
"""Positive numbers whose largest is this many times the least are told apart by their logarithm."""


class Axis(msgspec.Struct, frozen=True):
    """One parameter.

    Args:
        name: as the sampler knows it.
        label: the same in few characters.
        kind: numbers, numbers told apart by their logarithm, or one of several choices.
        choices: as text, in the order of the axis; empty for numbers.
        low: least value, of numbers.
        high: largest value, of numbers.
    """

    name: str
    label: str
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
    labels = short_names(columns)
    return [_axis(name, labels[name], values) for name, values in columns.items()]


def _axis(name: str, label: str, values: Sequence[Any]) -> Axis:
    if not all(is_number(value) for value in values):
        return Axis(name, label, "choice", tuple(sorted({text_of(value) for value in values})))
    low, high = min(values), max(values)
    kind: Literal["linear", "log"] = "log" if low > 0 and high >= DECADES * low else "linear"
    return Axis(name, label, kind, low=float(low), high=float(high))


def short_names(names: Iterable[str]) -> dict[str, str]:
    """As few of the last parts of each dotted name as tell it from the others; none begins with a number."""
    parts = {name: name.split(".") for name in names}
    ends = Counter(tuple(each[-count:]) for each in parts.values() for count in range(1, len(each) + 1))
    return {
        name: ".".join(
            next(
                (each[-n:] for n in range(1, len(each)) if ends[tuple(each[-n:])] == 1 and not each[-n].isdigit()), each
            )
        )
        for name, each in parts.items()
    }


def is_number(value: Any) -> bool:
    """Whether a value is a number; truth values are choices."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def text_of(value: Any) -> str:
    """A value in few characters: text as it is, numbers to four digits, all else as JSON."""
    if isinstance(value, str):
        return value
    return f"{value:.4g}" if isinstance(value, float) else json.dumps(value, default=str)
