"""Fills the templates of a space for one trial: draws first, then computes what depends on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

from raydet.config import Config, ConfigDict
from raydet.config.merging import DELETE_KEY, merge, nest
from raydet.search.formulas import BEFORE, HERE, Formula
from raydet.search.grammar import Parameter, label
from raydet.search.keys import look_up, relative
from raydet.search.templates import UNSET, Switch
from raydet.search.tree import SweepError

if TYPE_CHECKING:
    from optuna.trial import BaseTrial


@dataclass(frozen=True)
class Slot:
    """A place for the value of a formula: `owner[key]`, which other formulas call by any of its `names`.

    It is a part of what the key `entry` is set to.
    """

    owner: Any
    key: Any
    formula: Formula
    names: tuple[str, ...]
    entry: str = ""


@dataclass
class Draft:
    """One point of a space in the making.

    Args:
        trial: where values are drawn.
        base: the config that the point changes.
        params: what was drawn, by name.
        variables: values of the names that are no keys.
        values: by key of the config; dicts replace those of the base, unless they say `_delete_: false`.
        tied: further keys of a key.
    """

    trial: BaseTrial
    base: Config
    params: dict[str, Any] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    tied: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _slots: list[Slot] = field(default_factory=list)
    _entry: str = ""

    def add_variable(self, name: str, template: Any) -> None:
        """Fill the template of a variable."""
        self._put(self.variables, name, template, name, name)

    def add(self, keys: tuple[str, ...], name: str, template: Any) -> None:
        """Fill the template of a key and of those tied to it.

        Raises:
            SweepError: something else set the key before.
        """
        first, *others = keys
        if first in self.values:
            raise SweepError(f"this point sets {first} twice; the second time for {name}")
        self.tied[first] = tuple(others)
        outer, self._entry = self._entry, first
        self._put(self.values, first, template, name, first)
        self._entry = outer

    def draw(self, name: str, parameter: Parameter) -> Any:
        """Draw a value under a name."""
        value = parameter.suggest(self.trial, name)
        self.params[name] = label(value)
        return value

    def _put(self, owner: Any, key: Any, template: Any, name: str, place: str) -> None:
        """Fill a template into `owner[key]`."""
        if isinstance(template, Formula):
            owner[key] = UNSET
            within = place.removeprefix(self._entry)
            names = tuple(f"{entry}{within}" for entry in (self._entry, *self.tied.get(self._entry, ())))
            self._slots.append(Slot(owner, key, template, names, self._entry))
        elif isinstance(template, Parameter):
            owner[key] = self.draw(name, template)
        elif isinstance(template, Switch):
            self._switch(owner, key, template, name, place)
        elif isinstance(template, (dict, list)):
            owner[key] = template.copy()
            for step, inner in list(template.items() if isinstance(template, dict) else enumerate(template)):
                self._put(owner[key], step, inner, f"{name}.{step}", f"{place}.{step}")
        else:
            owner[key] = template

    def _switch(self, owner: Any, key: Any, switch: Switch, name: str, place: str) -> None:
        chosen = self.params[name] = self.trial.suggest_categorical(name, list(switch.options))
        option = switch.options[chosen]
        self._put(owner, key, option.value, f"{name}.{chosen}", place)
        if owner is not self.values and isinstance(owner[key], dict):
            owner[key].setdefault(DELETE_KEY, True)
        for other, template in option.along.items():
            places = (place, *self.tied.get(place, ())) if other.startswith(".") else (place,)
            keys = tuple(dict.fromkeys(relative(other, each) for each in places))
            self.add(keys, f"{name}.{chosen}.{other.lstrip('.')}", template)

    def compute(self) -> None:
        """Compute all formulas, each after those that it uses.

        Raises:
            SweepError: they use each other in a circle, or one cannot be computed.
        """
        for slot in _in_order(self._slots):
            slot.owner[slot.key] = slot.formula.value(self.names(slot.entry))

    def names(self, entry: str = "") -> dict[str, Any]:
        """What formulas can refer to; `entry` is the key for whose value they are computed."""
        config, holder = self.config(), entry.rpartition(".")[0]
        here, before = ((look_up(holder, each) if holder else each) for each in (config, self.base._cfg_dict))
        return {**config, HERE: here, BEFORE: ConfigDict(before), **self.variables}

    def config(self) -> ConfigDict:
        """The values of the base config with those of this point, free to be changed."""
        return merged(self.base, self.options())

    def options(self) -> dict[str, Any]:
        """What the point makes of the config, as `--cfg-options`; a key before those within it."""
        made: dict[str, Any] = {}
        for first, value in self.values.items():
            for key in () if value is UNSET else (first, *self.tied[first]):
                if key in made:
                    raise SweepError(f"this point sets {key} twice")
                made[key] = _fitted(_set_only(value), look_up(key, self.base._cfg_dict, UNSET))
        return {key: made[key] for key in sorted(made, key=lambda key: key.count("."))}


def merged(base: Config, options: Mapping[str, Any]) -> ConfigDict:
    """The values of a config with some dotted keys laid over them; nothing is shared."""
    return ConfigDict(merge(ConfigDict(nest(options)), base._cfg_dict, list_keys=True))


def check_order(named: Mapping[str, Formula]) -> str | None:
    """A message when formulas use each other in a circle."""
    try:
        list(_in_order([Slot(None, None, formula, (name,)) for name, formula in named.items()]))
    except SweepError as error:
        return error.message
    return None


def _in_order(slots: list[Slot]) -> Iterator[Slot]:
    needs = {
        i: [j for j, other in enumerate(slots) if j != i and _uses(slot.formula, other.names)]
        for i, slot in enumerate(slots)
    }
    try:
        order = list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        circle = " -> ".join(slots[i].names[0] for i in error.args[1])
        raise SweepError(f"expressions use each other in a circle: {circle}") from error
    yield from (slots[i] for i in order)


def _uses(formula: Formula, names: tuple[str, ...]) -> bool:
    """Whether what a formula refers to is one of some names, or within it, or holds it."""
    pairs = ((f"{name}.", f"{each}.") for name in names for each in formula.references)
    return any(name.startswith(each) or each.startswith(name) for name, each in pairs)


def _set_only(value: Any) -> Any:
    """A copy without what is still to be computed (None in lists)."""
    if isinstance(value, dict):
        return {key: _set_only(each) for key, each in value.items() if each is not UNSET}
    if isinstance(value, list):
        return [None if each is UNSET else _set_only(each) for each in value]
    return deepcopy(value)


def _fitted(value: Any, old: Any, replaces: bool = True) -> Any:
    """A value for the place of an old one: a list is a tuple where one was, a dict says whether it replaces a dict."""
    if isinstance(value, list):
        return _as_tuple(value, old)
    if not isinstance(value, dict):
        return value
    replaces = value.pop(DELETE_KEY, replaces) or not isinstance(old, dict)
    made = {key: _fitted(each, UNSET if replaces else old.get(key, UNSET), False) for key, each in value.items()}
    return {**made, DELETE_KEY: True} if replaces and old is not UNSET else made


def _as_tuple(value: list[Any], old: Any) -> Any:
    inner = old[0] if isinstance(old, (list, tuple)) and old and isinstance(old[0], (list, tuple)) else old
    items = [_as_tuple(each, inner) if isinstance(each, list) else _fitted(each, UNSET) for each in value]
    return tuple(items) if isinstance(old, tuple) and items and not isinstance(items[0], (list, tuple)) else items
