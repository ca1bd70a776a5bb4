"""The space of a sweep: what a trial draws, and what that makes of the config."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from raydet.config import Config
from raydet.registry import nearest
from raydet.search.anchors import AnchorFamily
from raydet.search.draft import Draft
from raydet.search.formulas import Formula
from raydet.search.grammar import Parameter
from raydet.search.grid import all_points
from raydet.search.templates import Switch, parameters
from raydet.search.tree import SweepError

if TYPE_CHECKING:
    from optuna.trial import BaseTrial


SHOWN = 8
"""Names that a message lists."""


@dataclass(frozen=True)
class Draw:
    """One point of a space.

    Args:
        params: what was drawn, by name, as Optuna saw it.
        options: what that makes of the base config, as `--cfg-options`.
        facts: what is known of the point beforehand, such as `anchor_recall`.
    """

    params: dict[str, Any]
    options: dict[str, Any]
    facts: dict[str, float] = field(default_factory=dict)


class Rejected(Exception):  # noqa: N818  (an outcome, spoken of as such)
    """A point that breaks a constraint.

    Args:
        reason: which, in a sentence.
        draw: the point.
    """

    def __init__(self, reason: str, draw: Draw) -> None:
        super().__init__(reason, draw)
        self.reason = reason
        self.draw = draw

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True)
class Entry:
    """A key of a space.

    Args:
        name: as it is written.
        keys: of the config, that it stands for; all take the same value.
        template: of the value.
    """

    name: str
    keys: tuple[str, ...]
    template: Any


@dataclass(frozen=True)
class Space:
    """What the trials of a sweep draw.

    Args:
        entries: keys of the config.
        variables: templates of names that are no keys.
        constraints: what holds for every point.
        anchors: made from the data.
        function: draws from an Optuna trial and returns config options, in place of all the others.
    """

    entries: tuple[Entry, ...] = ()
    variables: Mapping[str, Any] = field(default_factory=dict)
    constraints: tuple[Formula, ...] = ()
    anchors: AnchorFamily | None = None
    function: Callable[[Any], Mapping[str, Any]] | None = None

    def draw(self, trial: BaseTrial, base: Config) -> Draw:
        """Draw a point.

        Args:
            trial: of Optuna.
            base: the config that the point changes.

        Raises:
            Rejected: it breaks a constraint.
            SweepError: an expression cannot be computed, or two entries set the same key.
        """
        if self.function is not None:
            options = dict(self.function(trial))
            return Draw(dict(trial.params), options)
        draft = self._fill(trial, base)
        if self.anchors is not None:
            self.anchors.place(draft)
        draft.compute()
        facts = {} if self.anchors is None else self.anchors.measure(draft)
        draw = Draw(draft.params, draft.options(), facts)
        broken = next(self._broken(draft), None)
        if broken is not None:
            raise Rejected(broken, draw)
        return draw

    def _fill(self, trial: Any, base: Config) -> Draft:
        draft = Draft(trial, base)
        for name, template in self.variables.items():
            draft.add_variable(name, template)
        for entry in self.entries:
            draft.add(entry.keys, entry.name, entry.template)
        if self.anchors is not None:
            self.anchors.draw(draft)
        return draft

    def _broken(self, draft: Draft) -> Iterator[str]:
        for constraint in self.constraints:
            names = draft.names()
            if not constraint.value(names):
                known = ((key, constraint.value_of(key, names)) for key in sorted(constraint.references))
                values = ", ".join(f"{key} = {value!r}" for key, value in known if isinstance(value, (int, float, str)))
                yield f"the constraint `{constraint.text}` does not hold" + (f" with {values}" if values else "")

    def parameters(self) -> dict[str, Parameter | Switch]:
        """Everything that is drawn, by the name under which Optuna knows it, also what only some points have."""
        templates = {**self.variables, **{entry.name: entry.template for entry in self.entries}}
        found = [each for name, template in templates.items() for each in parameters(template, name)]
        return {**dict(found), **({} if self.anchors is None else self.anchors.parameters())}

    def grid(self) -> list[dict[str, Any]]:
        """All points of a space without real numbers, as Optuna's parameters; constraints are not looked at.

        Raises:
            SweepError: a parameter is not discrete, there are too many points, or a function draws.
        """
        if self.function is not None:
            raise SweepError("a space that a function draws from has no grid; list what it can draw in `space`")
        return all_points(lambda trial: self._fill(trial, Config()))

    def enqueue(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """Optuna's parameters for a warm start.

        Args:
            point: values by name. That of a `choose` is a label, or a mapping of the label to values of its own space.
                What is left out is drawn.

        Raises:
            SweepError: a name or value that cannot be drawn.
        """
        if self.function is not None:
            return dict(point)
        known = self.parameters()
        return {name: _encode(name, value, known) for name, value in _flat(point, known)}


def _flat(point: Mapping[str, Any], known: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Values by full name; the options that are chosen with values of their own come first."""
    for key, value in point.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and isinstance(known.get(name), Switch):
            if len(value) != 1:
                raise SweepError(f"{name} is given as one of its labels with values, got {len(value)} labels")
            (chosen, inner), *_ = value.items()
            yield name, chosen
            yield from _flat(inner or {}, known, f"{name}.{chosen}.")
        else:
            yield name, value


def _encode(name: str, value: Any, known: Mapping[str, Parameter | Switch]) -> Any:
    drawn = known.get(name)
    if drawn is None:
        others = f"; there are {', '.join(list(known)[:SHOWN])}{' ...' * (len(known) > SHOWN)}"
        hint = nearest(name, known, 0.7) or others
        raise SweepError(f"nothing called {name!r} is drawn{hint}")
    try:
        if isinstance(drawn, Parameter):
            return drawn.encode(value)
    except ValueError as error:
        raise SweepError(f"{name}: {error}") from error
    if str(value) not in drawn.options:
        raise SweepError(f"{name}: {value!r} is none of {', '.join(drawn.options)}{nearest(str(value), drawn.options)}")
    return str(value)
