"""Dicts that remember where their keys were written, and the one with attribute access that configs are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from raydet.config.nested import plain_copy
from raydet.registry import nearest

D = TypeVar("D", bound="PlacedDict")


class PlacedDict(dict[Any, Any]):
    """A plain dict that knows the `file:line` of each of its keys and of itself."""

    __slots__ = ("_own_place", "_places")
    _own_place: str | None
    _places: dict[Any, str]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _init_places(self, args[0] if args else None)

    def where(self, key: Any = None) -> str | None:
        """`"file:line"` where `key` was last written, or where the dict itself was when `key` is None."""
        return self._own_place if key is None else self._places.get(key)

    def copy(self: D) -> D:
        """A shallow copy that remembers the same places."""
        return _restore(type(self), dict(self), self._own_place, self._places)

    __copy__ = copy

    def __deepcopy__(self: D, memo: dict[int, Any]) -> D:
        from copy import deepcopy

        twin = _restore(type(self), {}, self._own_place, self._places)
        memo[id(self)] = twin
        for key, value in self.items():
            dict.__setitem__(twin, deepcopy(key, memo), deepcopy(value, memo))
        return twin

    def __reduce__(self) -> Any:
        return _restore, (type(self), dict(self), self._own_place, self._places)


def _init_places(target: PlacedDict, source: Any = None) -> None:
    placed = isinstance(source, PlacedDict)
    object.__setattr__(target, "_own_place", source._own_place if placed else None)
    object.__setattr__(target, "_places", dict(source._places) if placed else {})


def _restore(cls: type[D], items: dict[Any, Any], place: str | None, places: dict[Any, str]) -> D:
    made = cls.__new__(cls)
    dict.update(made, items)
    object.__setattr__(made, "_own_place", place)
    object.__setattr__(made, "_places", dict(places))
    return made


def set_place(target: object, key: Any, place: str | None) -> None:
    """Note where `key` was written (None: the dict itself); anything but a `PlacedDict` is left alone."""
    if not isinstance(target, PlacedDict):
        return
    if key is None:
        object.__setattr__(target, "_own_place", place)
    elif place is None:
        target._places.pop(key, None)
    else:
        target._places[key] = place


class ConfigDict(PlacedDict):
    """A dict whose keys are attributes too: `cfg.model.backbone.depth`.

    Dicts put into it, also within lists and tuples, become `ConfigDict`s. As in 2.x, `update` merges nested dicts, and
    building one from another copies all containers, so that both can be changed independently.
    """

    __slots__ = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        source = args[0] if args and args[0] is not None else {}
        dict.__init__(self)
        _init_places(self, source)
        for key, value in dict(source, *args[1:], **kwargs).items():
            dict.__setitem__(self, key, _own(value))

    def __setitem__(self, key: Any, value: Any) -> None:
        dict.__setitem__(self, key, _adopt(value))
        self._places.pop(key, None)

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            keys = [key for key in self if isinstance(key, str)]
            raise AttributeError(f"the config dict has no key {name!r}{nearest(name, keys)}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        if hasattr(type(self), name):
            raise AttributeError(f"{name!r} is a method of every config dict; write cfg[{name!r}] = ... instead")
        self[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self[name]
        except KeyError:
            raise AttributeError(f"the config dict has no key {name!r}") from None

    def __dir__(self) -> Iterable[str]:
        return [*super().__dir__(), *(key for key in self if isinstance(key, str))]

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Take over keys; where both sides hold a dict, the two are merged (as in 2.x, unlike `dict.update`)."""
        for key, value in dict(*args, **kwargs).items():
            if isinstance(value, Mapping) and isinstance(self.get(key), ConfigDict):
                self[key].update(value)
            else:
                self[key] = value

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """The value of `key`, after setting it to `default` if it was missing."""
        if key not in self:
            self[key] = default
        return self[key]

    def __or__(self, other: Any) -> Any:
        merged = ConfigDict(self)
        merged.update(other)
        return merged

    def __ior__(self, other: Any) -> Any:
        self.update(other)
        return self

    def to_dict(self) -> dict[Any, Any]:
        """The same content in plain dicts, lists and tuples, nothing shared."""
        copied: dict[Any, Any] = plain_copy(self)
        return copied


def _own(value: Any) -> Any:
    """`value` with every container replaced by one of our own."""
    if isinstance(value, dict):
        return ConfigDict(value)
    if type(value) in (list, tuple):
        return type(value)(_own(item) for item in value)
    return value


def _adopt(value: Any) -> Any:
    """`value` itself when no plain dict is inside, else with these converted."""
    if isinstance(value, ConfigDict):
        return value
    if isinstance(value, dict):
        return ConfigDict(value)
    if type(value) in (list, tuple):
        adopted = [_adopt(item) for item in value]
        if any(new is not old for new, old in zip(adopted, value, strict=True)):
            return type(value)(adopted)
    return value
