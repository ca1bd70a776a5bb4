"""What may stand in a space in the place of a value, as it is written."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import msgspec

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

Positive = Annotated[float, msgspec.Meta(gt=0)]
SCALARS = (bool, int, float, str, type(None))


class Node(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that is not a plain value.

    Args:
        also: further keys of the config that take the same value.
        new: the key need not exist in the base config.
    """

    operator: ClassVar[str] = ""
    also: tuple[str, ...] = ()
    new: bool = False


class Parameter(Node, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A number or choice that the sampler draws."""

    def suggest(self, trial: BaseTrial, name: str) -> Any:
        """Draw a value under a name."""
        raise NotImplementedError

    def mistake(self) -> str | None:
        """What makes it impossible to draw from."""
        raise NotImplementedError

    def encode(self, value: Any) -> Any:
        """What Optuna calls a value, for warm starts; ValueError when it cannot be drawn."""
        raise NotImplementedError


class Uniform(Parameter, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A real number from a range.

    Args:
        uniform: lowest and highest value.
        step: only the lowest value plus multiples of this.
    """

    operator: ClassVar[str] = "uniform"
    uniform: tuple[float, float]
    step: Positive | None = None

    def suggest(self, trial: BaseTrial, name: str) -> float:
        """Draw a value under a name."""
        low, high = self.uniform
        drawn: float = trial.suggest_float(name, low, high, step=self.step)
        return drawn

    def mistake(self) -> str | None:
        """What makes it impossible to draw from."""
        return _wrong_range(self.uniform, self.step)

    def encode(self, value: Any) -> float:
        """What Optuna calls a value; ValueError when it cannot be drawn."""
        return float(_within(value, self.uniform, self.step))


class LogUniform(Parameter, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A real number from a range, each factor as likely wherever it lies.

    Args:
        loguniform: lowest and highest value, above 0.
    """

    operator: ClassVar[str] = "loguniform"
    loguniform: tuple[Positive, Positive]

    def suggest(self, trial: BaseTrial, name: str) -> float:
        """Draw a value under a name."""
        low, high = self.loguniform
        drawn: float = trial.suggest_float(name, low, high, log=True)
        return drawn

    def mistake(self) -> str | None:
        """What makes it impossible to draw from."""
        return _wrong_range(self.loguniform)

    def encode(self, value: Any) -> float:
        """What Optuna calls a value; ValueError when it cannot be drawn."""
        return float(_within(value, self.loguniform))


class Int(Parameter, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole number from a range.

    Args:
        bounds: lowest and highest value.
        step: only the lowest value plus multiples of this.
        log: each factor is as likely wherever it lies; not beside `step`.
    """

    operator: ClassVar[str] = "int"
    bounds: tuple[int, int] = msgspec.field(name="int")
    step: Annotated[int, msgspec.Meta(ge=1)] = 1
    log: bool = False

    def suggest(self, trial: BaseTrial, name: str) -> int:
        """Draw a value under a name."""
        low, high = self.bounds
        drawn: int = trial.suggest_int(name, low, high, step=self.step, log=self.log)
        return drawn

    def mistake(self) -> str | None:
        """What makes it impossible to draw from."""
        if self.log and self.step != 1:
            return "log: true and a step exclude each other"
        if self.log and self.bounds[0] < 1:
            return f"with log: true the range begins at 1 or above, not at {self.bounds[0]}"
        return _wrong_range(self.bounds, self.step)

    def encode(self, value: Any) -> int:
        """What Optuna calls a value; ValueError when it cannot be drawn."""
        if not isinstance(value, int):
            raise ValueError(f"{value!r} is not a whole number")
        return int(_within(value, self.bounds, self.step))


class Choice(Parameter, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of some values, of any kind.

    Args:
        choice: the values.
    """

    operator: ClassVar[str] = "choice"
    choice: tuple[Any, ...]

    def suggest(self, trial: BaseTrial, name: str) -> Any:
        """Draw a value under a name; lists and dicts are known to Optuna by their text."""
        labels = [label(value) for value in self.choice]
        return self.choice[labels.index(trial.suggest_categorical(name, labels))]

    def mistake(self) -> str | None:
        """What makes it impossible to draw from."""
        labels = [label(value) for value in self.choice]
        twice = [each for each in labels if labels.count(each) > 1]
        if twice:
            return f"{twice[0]!r} is given twice"
        return None if labels else "there is nothing to choose from"

    def encode(self, value: Any) -> Any:
        """What Optuna calls a value; ValueError when it cannot be drawn."""
        labels = [label(each) for each in self.choice]
        if label(value) not in labels:
            raise ValueError(f"{value!r} is none of {', '.join(map(str, labels))}")
        return label(value)


class Choose(Node, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of some values with spaces of their own, most often whole dicts.

    In a dict, `_with_` holds further keys that are set when it is chosen (`.key` is a neighbour of the key that is
    chosen for), `_value_` the value where it is not a dict, and `_delete_: false` lays it over the dict of the base
    config instead of replacing that.

    Args:
        choose: values by label, or a list of dicts that are labelled by their `type`.
    """

    operator: ClassVar[str] = "choose"
    choose: dict[str, Any] | list[Any]


class Family(Node, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A ready-made `choose`: those of its options that fit the place.

    Args:
        family: its name.
        only: labels of the options that take part; all when left out.
        without: labels of options that do not.
        keep: what the base config has is an option as well, the first one, called `config`.
    """

    operator: ClassVar[str] = "family"
    family: str
    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    keep: bool = False


class Expression(Node, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A value computed from variables, drawn values and the config.

    Args:
        expression: in Python's notation, such as `base * batch / 16`.
    """

    operator: ClassVar[str] = "expression"
    expression: str


KEPT = "config"
"""The option that leaves what it could replace as it is in the base config."""
NODES: dict[str, type[Node]] = {
    each.operator: each for each in (Uniform, LogUniform, Int, Choice, Choose, Family, Expression)
}
"""By the key that tells them from plain dicts."""


def label(value: Any) -> Any:
    """What Optuna calls a value: itself, or its text if it is a list or dict."""
    return value if isinstance(value, SCALARS) else repr(value)


def _wrong_range(bounds: tuple[float, float], step: float | None = None) -> str | None:
    low, high = bounds
    if not (math.isfinite(low) and math.isfinite(high)):
        return f"the bounds are finite numbers, got [{low}, {high}]"
    if low >= high:
        return f"the lowest value comes first and is smaller than the highest, got [{low}, {high}]"
    if step is not None and step > high - low:
        return f"the step {step} is larger than the range from {low} to {high}"
    return None


def _within(value: Any, bounds: tuple[float, float], step: float | None = None) -> Any:
    low, high = bounds
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise ValueError(f"{value!r} is no number from {low} to {high}")
    if step is not None and abs((value - low) / step - round((value - low) / step)) > 1e-6:
        raise ValueError(f"{value!r} is not {low} plus a multiple of {step}")
    return value
