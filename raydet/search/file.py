"""`load_sweep`: a sweep file, checked as a whole, with its base config."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from raydet.config import Config, ConfigError, find_config, shipped_root
from raydet.search.checks import convert
from raydet.search.reading import read_points, read_space
from raydet.search.settings import Objective, PruningSettings, SearchSettings, SweepSettings, TrialSettings
from raydet.search.space import Space
from raydet.search.templates import with_tuples
from raydet.search.tree import KeyPath, Tree, parse_tree, read_tree

STORAGE = re.compile(r"journal|memory|(sqlite|postgresql|mysql)(\+\w+)?://.+")
KEYED = ("options", "variables", "space")
"""Sections by keys that may have dots in them."""


@dataclass(frozen=True)
class Sweep:
    """A sweep as its file describes it.

    Args:
        file: that it was read from.
        settings: what the file says.
        config: the base config with the changes for all trials.
        space: what trials draw.
        points: parameters of the trials that come first.
        values: the file as it was read, with what `--set` changed.
    """

    file: Path
    settings: SweepSettings
    config: Config
    space: Space
    points: tuple[dict[str, Any], ...]
    values: dict[str, Any]

    @property
    def name(self) -> str:
        """Of the sweep, and of its study unless that has a name of its own."""
        return self.settings.name or self.file.stem

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """What to improve."""
        return self.settings.objective

    @property
    def num_trials(self) -> int:
        """Points to try."""
        return self.settings.num_trials

    @property
    def seed(self) -> int:
        """Of everything random."""
        return self.settings.seed

    @property
    def search(self) -> SearchSettings:
        """How points are chosen."""
        return self.settings.search

    @property
    def pruning(self) -> PruningSettings:
        """When trials are stopped."""
        return self.settings.pruning

    @property
    def trial(self) -> TrialSettings:
        """What each trial is given."""
        return self.settings.trial

    @property
    def text(self) -> str:
        """The sweep as a file that can be loaded again from anywhere."""
        return yaml.safe_dump({**self.values, "name": self.name}, sort_keys=False, allow_unicode=True, width=120)


def load_sweep(file: str | Path, changes: Mapping[str, Any] | None = None) -> Sweep:
    """Read a sweep file and check all of it against its base config.

    Args:
        file: path, or name of a shipped one such as `lr_and_schedule`.
        changes: values by dotted key that replace those of the file, such as `{"num_trials": 8,
            "options.runner.max_epochs": 2}`.

    Raises:
        FileNotFoundError: there is no such file.
        SweepError: everything that is wrong with it, each with file, line, column and key.
    """
    path = find_config(file, "tuning")
    tree = read_tree(path)
    for key, value in (changes or {}).items():
        tree.change(_section_path(key), value)
    if isinstance(tree.values.get("objective"), dict):
        tree.values["objective"] = [tree.values["objective"]]
        tree.marks |= {
            ("objective", 0, *known[1:]): mark for known, mark in tree.marks.items() if known[:1] == ("objective",)
        }
    settings = convert(tree.values, SweepSettings, (), tree)
    config = _base_config(tree, path.parent)
    space = read_space(tree, config)
    points = read_points(tree, space)
    _check_search(tree)
    tree.raise_problems()
    assert settings is not None
    assert config is not None
    return Sweep(path, settings, config, space, points, tree.values)


def parse_changes(arguments: Iterable[str]) -> dict[str, Any]:
    """What `--set KEY=VALUE` asks for; values are YAML: `space.optimizer.lr={loguniform: [1e-4, 1e-2]}`.

    Raises:
        ValueError: not of that form.
    """
    found = {}
    for argument in arguments:
        key, equals, text = argument.partition("=")
        if not equals or not key:
            raise ValueError(f"--set takes KEY=VALUE, got {argument!r}")
        found[key] = parse_tree(f"value: {text}", f"--set {key}").values["value"]
    return found


def _section_path(key: str) -> KeyPath:
    section, _, rest = key.partition(".")
    return (section, rest) if section in KEYED and rest else tuple(key.split("."))


def _base_config(tree: Tree, folder: Path) -> Config | None:
    """The base config with the options of the file; what is wrong with them is noted."""
    base, options = tree.values.get("base"), tree.values.get("options", {})
    if not isinstance(base, str) or not isinstance(options, dict):
        return None
    key: KeyPath = ("base",)
    try:
        beside = folder / base
        path = beside if beside.is_file() else find_config(base)
        config = Config.fromfile(path)
        tree.values["base"] = _lasting_name(path.resolve())
        for name, value in options.items():
            key = ("options", name)
            config.merge_from_dict({name: with_tuples(value)})
    except (ConfigError, OSError, ValueError) as error:
        tree.add(key, str(error))
        return None
    return config


def _lasting_name(path: Path) -> str:
    """What a config is called wherever it is asked for: the name of a shipped one, else the whole path."""
    with suppress(ValueError, FileNotFoundError):
        return path.relative_to(shipped_root("configs").resolve()).as_posix()
    return str(path)


def _check_search(tree: Tree) -> None:
    """Note a storage that cannot be, and earlier sweeps that are not there."""
    search = tree.values.get("search")
    if not isinstance(search, dict):
        return
    storage, sources = search.get("storage", "journal"), search.get("imports", [])
    if isinstance(storage, str) and not STORAGE.fullmatch(storage):
        expected = "journal, memory or a URL that begins with sqlite:///, postgresql:// or mysql://"
        tree.add(("search", "storage"), f"expected {expected}, got {storage!r}")
    for index, source in enumerate(map(str, sources if isinstance(sources, list) else [])):
        path: KeyPath = ("search", "imports", index)
        if "://" in source and "#" not in source:
            tree.add(path, f"{source!r} names no study; write the URL as {source}#STUDY")
        elif "://" not in source and not Path(source).is_dir():
            tree.add(path, f"there is no sweep folder {source!r}")
