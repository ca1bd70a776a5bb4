"""Everything that a Python config may call: functions and methods without side effects, with bounded results."""

from __future__ import annotations

import copy
import math
import operator
import os
import re
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raydet.config.config_dict import PlacedDict
from raydet.config.limits import MAX_BITS, MAX_LENGTH, Budget


class TooLargeError(ValueError):
    """The result of an operation would be too large."""


@dataclass(frozen=True)
class AllowedModule:
    """The part of a module that configs can see."""

    name: str
    members: Mapping[str, Any]


def bounded(size: int) -> None:
    """Refuse to make a text or sequence of `size` elements when that is too many."""
    if size > MAX_LENGTH:
        raise TooLargeError(f"the result would have {size} elements, more than {MAX_LENGTH}")


def _bits(value: Any) -> int:
    return value.bit_length() if isinstance(value, int) else 0


def _sized(value: Any) -> bool:
    return isinstance(value, (str, bytes, list, tuple))


def multiply(left: Any, right: Any) -> Any:
    """`left * right`, which may be a repetition."""
    for sequence, count in ((left, right), (right, left)):
        if _sized(sequence) and isinstance(count, int):
            bounded(len(sequence) * max(count, 0))
    _small(_bits(left) + _bits(right))
    return left * right


def power(base: Any, exponent: Any) -> Any:
    """`base ** exponent`."""
    if isinstance(base, int) and isinstance(exponent, int) and exponent > 0:
        _small(_bits(base) * exponent)
    return base**exponent


def shift_left(value: Any, count: Any) -> Any:
    """`value << count`."""
    if isinstance(count, int):
        _small(_bits(value) + max(count, 0))
    return value << count


def add(left: Any, right: Any) -> Any:
    """`left + right`, which may be a concatenation."""
    if _sized(left) and _sized(right):
        bounded(len(left) + len(right))
    return left + right


def remainder(left: Any, right: Any) -> Any:
    """`left % right`, which may format a text."""
    if isinstance(left, (str, bytes)):
        if isinstance(left, bytes) or "*" in left:
            raise ValueError("only texts with plain %-fields can be formatted")
        _check_width(left)
        bounded(len(left) + left.count("%") * len(str(right)))
    return left % right


def _small(bits: int) -> None:
    if bits > MAX_BITS:
        raise TooLargeError(f"the result would be an integer of about {bits} bits, more than {MAX_BITS}")


def _check_width(spec: str) -> None:
    if re.search(r"\d{4}", spec):
        raise TooLargeError(f"the field widths of {spec!r} are too large")


BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "Add": add,
    "Sub": operator.sub,
    "Mult": multiply,
    "Div": operator.truediv,
    "FloorDiv": operator.floordiv,
    "Mod": remainder,
    "Pow": power,
    "LShift": shift_left,
    "RShift": operator.rshift,
    "BitOr": operator.or_,
    "BitAnd": operator.and_,
    "BitXor": operator.xor,
}
UNARY: dict[str, Callable[[Any], Any]] = {
    "USub": operator.neg,
    "UAdd": operator.pos,
    "Not": operator.not_,
    "Invert": operator.invert,
}
COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "Eq": operator.eq,
    "NotEq": operator.ne,
    "Lt": operator.lt,
    "LtE": operator.le,
    "Gt": operator.gt,
    "GtE": operator.ge,
    "Is": operator.is_,
    "IsNot": operator.is_not,
    "In": lambda left, right: left in right,
    "NotIn": lambda left, right: left not in right,
}


def _sum(values: Sequence[Any], start: Any = 0) -> Any:
    total = start
    for value in values:
        total = add(total, value)
    return total


def _int(*args: Any, **kwargs: Any) -> int:
    made = int(*args, **kwargs)
    _small(_bits(made))
    return made


def _round(number: Any, digits: int | None = None) -> Any:
    if digits is not None and abs(digits) > 400:
        raise TooLargeError(f"cannot round to {digits} digits")
    return round(number, digits)


def _format(value: Any, spec: str = "") -> str:
    _check_width(spec)
    return format(value, spec)


def _eager(function: Callable[..., Any]) -> Callable[..., list[Any]]:
    def call(*args: Any, **kwargs: Any) -> list[Any]:
        values: list[Any] = list(function(*args, **kwargs))
        return values

    return call


def _range(*args: int) -> range:
    made = range(*args)
    bounded(len(made))
    return made


BUILTINS: dict[str, Any] = {
    **{f.__name__: f for f in (abs, all, any, bool, divmod, float, frozenset, hex, len)},
    **{f.__name__: f for f in (list, max, min, oct, ord, chr, repr, set, sorted, str, tuple, bin)},
    "int": _int,
    "round": _round,
    "dict": PlacedDict,
    "range": _range,
    "sum": _sum,
    "pow": power,
    "format": _format,
    "enumerate": _eager(enumerate),
    "filter": _eager(filter),
    "map": _eager(map),
    "reversed": _eager(reversed),
    "zip": _eager(zip),
}
"""Names that need no import. Calls of `dict` are evaluated by the interpreter itself, which knows the lines of keys."""

_UNBOUNDED_MATH = {"comb", "factorial", "lcm", "perm", "prod"}
_PATHS = "abspath basename commonpath dirname exists expanduser isabs isdir isfile join normpath relpath split splitext"


def import_module(name: str) -> AllowedModule | None:
    """The visible part of a module, or None when configs may not import it."""
    make = _MODULES.get(name)
    return None if make is None else AllowedModule(name, make())


def _os_path() -> dict[str, Any]:
    return {"sep": os.sep, **{name: getattr(os.path, name) for name in _PATHS.split()}}


def _os() -> dict[str, Any]:
    # a snapshot: writing to it changes no process environment
    environ = PlacedDict(os.environ)
    return {"environ": environ, "getenv": environ.get, "sep": os.sep, "path": AllowedModule("os.path", _os_path())}


_MODULES: dict[str, Callable[[], dict[str, Any]]] = {
    "copy": lambda: {"copy": copy.copy, "deepcopy": copy.deepcopy},
    "math": lambda: {k: v for k, v in vars(math).items() if k[0] != "_" and k not in _UNBOUNDED_MATH},
    "os": _os,
    "os.path": _os_path,
}

_METHODS: dict[type, str] = {
    str: (
        "capitalize casefold count endswith find index isalnum isalpha isascii isdecimal isdigit isidentifier islower "
        "isnumeric isspace istitle isupper lower lstrip partition removeprefix removesuffix rfind rindex rpartition "
        "rsplit rstrip split splitlines startswith strip swapcase title upper"
    ),
    list: "append clear copy count index insert pop remove reverse sort",
    tuple: "count index",
    range: "count index",
    dict: "clear copy get pop popitem setdefault",
    set: "add copy difference discard intersection issubset issuperset pop remove union update",
    frozenset: "copy difference intersection issubset issuperset union",
    int: "bit_length",
    float: "is_integer",
}
"""Methods whose results are no larger than their arguments."""


def find_method(receiver: Any, name: str) -> Callable[..., Any] | None:
    """The method `name` of a value, or None when configs may not call it."""
    if isinstance(receiver, str) and name in _TEXT_METHODS:
        return lambda *args, **kwargs: _TEXT_METHODS[name](receiver, *args, **kwargs)
    if isinstance(receiver, list) and name == "extend":
        return lambda values: receiver.extend(_more(receiver, values))
    if isinstance(receiver, dict) and name in ("items", "keys", "values"):
        return _eager(getattr(receiver, name))
    allowed = next((names.split() for kind, names in _METHODS.items() if isinstance(receiver, kind)), [])
    return getattr(receiver, name) if name in allowed else None


def _more(receiver: list[Any], values: Any) -> list[Any]:
    extra: list[Any] = list(values)
    bounded(len(receiver) + len(extra))
    return extra


def _join(separator: str, parts: Any) -> str:
    parts = list(parts)
    bounded(sum(len(part) + len(separator) for part in parts))
    return separator.join(parts)


def _replace(text: str, old: str, new: str, count: int = -1) -> str:
    bounded(len(text) + text.count(old) * len(new))
    return text.replace(old, new, count)


def _pad(method: str) -> Callable[..., str]:
    def call(text: str, width: int, *fill: str) -> str:
        bounded(width)
        return str(getattr(text, method)(width, *fill))

    return call


class _Formatter(string.Formatter):
    """`str.format` without attribute and item access and without large field widths."""

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> Any:
        if not re.fullmatch(r"\w*", field_name):
            raise ValueError(f"the field {{{field_name}}} of a format may only be a name or a number")
        return super().get_field(field_name, args, kwargs)

    def format_field(self, value: Any, format_spec: str) -> str:
        return _format(value, format_spec)


def _format_text(text: str, *args: Any, **kwargs: Any) -> str:
    bounded(len(text) + text.count("{") * len(str((args, kwargs))))
    return _Formatter().vformat(text, args, kwargs)


_TEXT_METHODS: dict[str, Callable[..., str]] = {
    "format": _format_text,
    "join": _join,
    "replace": _replace,
    **{name: _pad(name) for name in ("center", "ljust", "rjust", "zfill")},
}


_CONVERSIONS: dict[int, Callable[[Any], str]] = {ord("s"): str, ord("r"): repr, ord("a"): ascii}


def format_value(value: Any, conversion: int, spec: str, budget: Budget) -> str:
    """One `{...}` field of an f-string."""
    budget.weigh(value)
    convert = _CONVERSIONS.get(conversion)
    return _format(convert(value) if convert else value, spec)
