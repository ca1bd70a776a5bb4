"""A registry maps the `type` of a config to a class and builds it, with errors that help."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar, overload

C = TypeVar("C", bound=Callable[..., Any])


class Registry:
    """Names of one role (backbones, losses, ...) and how to build what they name.

    raydet's own members come from a catalogue of `type -> "module:attribute"` and are imported when first asked for,
    so that importing raydet stays light. Users add theirs with `@REGISTRY.register_module()`.

    Args:
        role: singular noun for messages, such as "backbone".
        catalogue: raydet's own members.
    """

    def __init__(self, role: str, catalogue: Mapping[str, str] | None = None) -> None:
        self.role = role
        self._places: dict[str, str] = dict(catalogue or {})
        self._members: dict[str, Callable[..., Any]] = {}

    def __contains__(self, name: object) -> bool:
        return name in self._members or name in self._places

    def __len__(self) -> int:
        return len(self.names())

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __repr__(self) -> str:
        return f"Registry({self.role!r}, {len(self)} members)"

    def names(self) -> list[str]:
        """All registered names in alphabetical order."""
        return sorted({*self._members, *self._places})

    def get(self, name: str) -> Callable[..., Any] | None:
        """The class or function called `name`, or None."""
        if name not in self._members and name in self._places:
            module, _, attribute = self._places[name].partition(":")
            self._members[name] = getattr(importlib.import_module(module), attribute)
        return self._members.get(name)

    @overload
    def register_module(self, name: C) -> C: ...
    @overload
    def register_module(
        self, name: str | Iterable[str] | None = None, force: bool = False, module: C | None = None
    ) -> Callable[[C], C]: ...

    def register_module(self, name: Any = None, force: bool = False, module: Any = None) -> Any:
        """Register a class: `@X.register_module`, `@X.register_module(name=..., force=...)` or with `module=cls`.

        Args:
            name: one name or several; the class name when left out.
            force: replace a member of the same name instead of refusing.
            module: the class, when not used as a decorator.

        Raises:
            KeyError: the name is taken and `force` is false.
        """
        if callable(name):
            return self._add(name, None, force)
        if module is not None:
            return self._add(module, name, force)
        return lambda member: self._add(member, name, force)

    def _add(self, member: C, name: str | Iterable[str] | None, force: bool) -> C:
        if name is None:
            name = getattr(member, "__name__", type(member).__name__)
        for each in [name] if isinstance(name, str) else name:
            if each in self and not force:
                raise KeyError(f"{each!r} is already registered as a {self.role}; pass force=True to replace it")
            self._members[each] = member
        return member

    def build(self, cfg: Any, default_args: Mapping[str, Any] | None = None) -> Any:
        """Build the part that a config dict describes; a part that is already built passes through.

        Args:
            cfg: `dict(type=name_or_class, **arguments)`, or the part itself. Left untouched.
            default_args: arguments used where `cfg` does not give them.

        Raises:
            KeyError: no such type.
            TypeError: `cfg` has no type, an unknown argument or misses a required one.
        """
        if not isinstance(cfg, Mapping):
            if cfg is None or isinstance(cfg, (str, list, tuple)):
                raise TypeError(f"expected a dict with the key 'type' for a {self.role}, got {cfg!r}")
            return cfg
        arguments = {**(default_args or {}), **cfg}
        kind = arguments.pop("type", None)
        if kind is None:
            raise TypeError(f"{place_of(cfg)}the dict of a {self.role} needs the key 'type', got keys {sorted(cfg)}")
        member = self.resolve(kind, place_of(cfg, "type"))
        check_arguments(member, arguments, cfg)
        return member(**arguments)

    def resolve(self, kind: Any, place: str = "") -> Callable[..., Any]:
        """The member named `kind` (a class passes through); KeyError with the nearest names otherwise."""
        if not isinstance(kind, str):
            return kind  # type: ignore[no-any-return]
        member = self.get(kind)
        if member is None:
            raise KeyError(f"{place}there is no {self.role} named {kind!r}{nearest(kind, self.names())}")
        return member


def place_of(cfg: Any, key: str | None = None) -> str:
    """`"file:line: "` of a key when `cfg` remembers where it came from (see `raydet.config.ConfigDict`), else ""."""
    where = getattr(type(cfg), "where", None)
    place = where(cfg, key) if where is not None else None
    return f"{place}: " if place else ""


def nearest(name: str, valid: Iterable[str], cutoff: float = 0.5) -> str:
    """A hint such as `; did you mean 'FPN'?`, or the empty string."""
    close = difflib.get_close_matches(name, list(valid), n=1, cutoff=cutoff)
    return f"; did you mean {close[0]!r}?" if close else ""


def accepted_arguments(member: Callable[..., Any]) -> tuple[dict[str, inspect.Parameter], bool]:
    """Arguments that `member` takes by name, and whether it takes any others as well.

    A constructor with `**kwargs` hands them to its base, so the bases are looked at until one has none. A class that
    hands them to somebody else says so by an attribute `takes_any_argument`.
    """
    found: dict[str, inspect.Parameter] = {}
    for function in _constructors(member):
        parameters = list(inspect.signature(function).parameters.values())
        for parameter in parameters[1:] if inspect.isclass(member) else parameters:
            if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                found.setdefault(parameter.name, parameter)
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            return found, getattr(member, "takes_any_argument", False)
    return found, True


def _constructors(member: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    if not inspect.isclass(member):
        yield member
        return
    for base in member.__mro__:
        if "__init__" in base.__dict__ and base is not object:
            yield base.__dict__["__init__"]
        if base.__dict__.get("hands_arguments_on", False):
            return


def argument_errors(member: Callable[..., Any], arguments: Mapping[str, Any]) -> list[tuple[str | None, str]]:
    """Every unknown or missing argument of a call, as (key or None, message)."""
    try:
        accepted, open_ended = accepted_arguments(member)
    except (TypeError, ValueError):  # built-in callables have no signature
        return []
    name = getattr(member, "__name__", str(member))
    errors: list[tuple[str | None, str]] = []
    if not open_ended:
        errors += [
            (key, f"{name} has no argument {key!r}{nearest(key, accepted)}") for key in arguments if key not in accepted
        ]
    errors += [
        (None, f"{name} needs the argument {key!r}")
        for key, parameter in accepted.items()
        if parameter.default is parameter.empty and key not in arguments and not open_ended
    ]
    return errors


def check_arguments(member: Callable[..., Any], arguments: Mapping[str, Any], cfg: Any = None) -> None:
    """Raise TypeError that lists every wrong argument, with its place in the config file when known."""
    errors = argument_errors(member, arguments)
    if errors:
        raise TypeError("; ".join(f"{place_of(cfg, key)}{message}" for key, message in errors))
