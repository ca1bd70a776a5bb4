"""Reads a config file with everything it inherits from."""

from __future__ import annotations

import os
import re
import uuid
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raydet.config.config_dict import PlacedDict, set_place
from raydet.config.documents import read_document
from raydet.config.errors import ConfigError, ConfigFormatError, ConfigKeyError, ConfigSyntaxError, ConfigTypeError
from raydet.config.expressions import BASE_KEY, pick
from raydet.config.find import assets_root, shipped_root
from raydet.config.interpreter import evaluate_python
from raydet.config.limits import MAX_BASES, MAX_FILE, MAX_FILES
from raydet.config.merging import merge

DEPRECATION_KEY = "_deprecation_"
FORMATS = (".py", ".yml", ".yaml", ".json")
SHIPPED_PREFIX = "raydet::"
_BASE_REFERENCE = re.compile(r"\{\{\s*_base_\.([\w.]+)\s*\}\}")


@dataclass(frozen=True)
class Loaded:
    """What a file and its bases say together, and the text of all of them."""

    values: PlacedDict
    text: str


@dataclass(frozen=True)
class Descent:
    """How a file came to be read: the files that inherit from it, outermost first, and all files opened so far."""

    heirs: tuple[Path, ...] = ()
    opened: list[Path] = field(default_factory=list)

    def then(self, path: Path) -> Descent:
        """The descent of the bases of `path`."""
        return Descent((*self.heirs, path), self.opened)


def load_file(
    path: Path, use_predefined_variables: bool = True, trust: bool = False, descent: Descent | None = None
) -> Loaded:
    """Read a config file, its bases first.

    Args:
        path: Python, YAML or JSON file.
        use_predefined_variables: replace `{{ fileDirname }}` and the like in this file (in bases they always are).
        trust: execute Python files instead of interpreting them.
        descent: who inherits from this file.

    Raises:
        FileNotFoundError: the file or a base does not exist.
        ConfigError: anything wrong inside, with file and line.
    """
    path = Path(os.path.abspath(path.expanduser()))
    descent = descent or Descent()
    _check_file(path, descent)
    descent.opened.append(path)
    source = _read(path)
    text = _substitute(source, path) if use_predefined_variables else source
    bases = _Bases(path, trust, descent.then(path))
    values = _evaluate(text, path, bases, trust)
    _warn_if_deprecated(values, path)
    own_text = f"{path}\n{source}"
    if BASE_KEY not in values:
        return Loaded(values, own_text)
    base = bases.load(values.pop(BASE_KEY))
    return Loaded(merge(values, base), "\n".join([*bases.texts, own_text]))


class _Bases:
    """Reads the files that one file inherits from, once."""

    def __init__(self, path: Path, trust: bool, descent: Descent) -> None:
        self._path = path
        self._trust = trust
        self._descent = descent
        self._merged: PlacedDict | None = None
        self.texts: list[str] = []

    def load(self, names: Any) -> PlacedDict:
        """The union of the files named by `_base_`; a key may come from one of them only."""
        if self._merged is None:
            self._merged = PlacedDict()
            for name in names if isinstance(names, (list, tuple)) else [names]:
                loaded = load_file(self._find(name), trust=self._trust, descent=self._descent)
                self._add(loaded.values, name)
                self.texts.append(loaded.text)
        return self._merged

    def _find(self, name: Any) -> Path:
        if not isinstance(name, str):
            raise ConfigTypeError(f"{BASE_KEY} names files by text or a list of texts, got {name!r}", f"{self._path}:1")
        if name.startswith(SHIPPED_PREFIX):
            return shipped_root("configs") / name.removeprefix(SHIPPED_PREFIX)
        return self._path.parent / name

    def _add(self, values: PlacedDict, name: str) -> None:
        merged = self._merged
        assert merged is not None
        for key, value in values.items():
            if key in merged:
                raise ConfigKeyError(
                    f"two bases give the key {key!r}: {merged.where(key)} and {values.where(key)}; a key may come from "
                    f"one base only (second base: {name!r})",
                    f"{self._path}:1",
                )
            merged[key] = value
            set_place(merged, key, values.where(key))


def _check_file(path: Path, descent: Descent) -> None:
    heirs = descent.heirs
    inheritance = " -> ".join(str(each) for each in (*heirs, path))
    if path in heirs:
        raise ConfigError(f"the config inherits from itself: {inheritance}", f"{heirs[-1]}:1")
    if len(heirs) > MAX_BASES:
        raise ConfigError(f"more than {MAX_BASES} configs inherit from each other in a row", f"{heirs[0]}:1")
    if len(descent.opened) >= MAX_FILES:
        raise ConfigError(f"more than {MAX_FILES} config files are read for one config", f"{descent.opened[0]}:1")
    if not path.is_file():
        heir = f" named by {BASE_KEY} in {heirs[-1]}" if heirs else ""
        raise FileNotFoundError(f"there is no config file {path}{heir}")
    if path.suffix not in FORMATS:
        raise ConfigFormatError(f"{path}: config files end with one of {', '.join(FORMATS)}, not {path.suffix!r}")
    if path.stat().st_size > MAX_FILE:
        raise ConfigError(f"{path} has more than {MAX_FILE} bytes; that is no config file")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigSyntaxError(f"not a text in UTF-8: {error}", f"{path}:1") from error


def _substitute(text: str, path: Path) -> str:
    """Replace the predefined variables."""
    values = {
        "fileDirname": path.parent.as_posix(),
        "fileBasename": path.name,
        "fileBasenameNoExtension": path.stem,
        "fileExtname": path.suffix,
        "raydetAssets": assets_root().as_posix(),
    }
    if path.suffix == ".py":  # they stand within quotes
        values = {key: re.sub(r"(['\"\\])", r"\\\1", value) for key, value in values.items()}
    return re.sub(r"\{\{\s*(" + "|".join(values) + r")\s*\}\}", lambda match: values[match[1]], text)


def _evaluate(text: str, path: Path, bases: _Bases, trust: bool) -> PlacedDict:
    if path.suffix == ".py":
        return evaluate_python(text, str(path), bases.load, trust)
    return _evaluate_document(text, path, bases)


def _evaluate_document(text: str, path: Path, bases: _Bases) -> PlacedDict:
    """A YAML or JSON file; references to bases stand in it as texts while it is parsed."""
    references: dict[str, str] = {}

    def stand_in(match: re.Match[str]) -> str:
        name = f"base-{uuid.uuid4().hex}"
        references[name] = match[1]
        return f'"{name}"'

    values = read_document(_BASE_REFERENCE.sub(stand_in, text), str(path), path.suffix == ".json")
    if references:
        base = bases.load(values.get(BASE_KEY, []))
        found = {name: pick(base, dotted.split("."), f"{path}:1") for name, dotted in references.items()}
        _resolve(values, found)
    return values


def _resolve(node: Any, found: dict[str, Any]) -> Any:
    """Put the values of references in the place of their stand-ins, in place."""
    if isinstance(node, str):
        return found.get(node, node)
    if isinstance(node, tuple):
        return tuple(_resolve(item, found) for item in node)
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, item in list(items):
        node[key] = _resolve(item, found)
    return node


def _warn_if_deprecated(values: PlacedDict, path: Path) -> None:
    if DEPRECATION_KEY not in values:
        return
    info = values.pop(DEPRECATION_KEY)
    message = f"The config file {path} will be deprecated in the future."
    if "expected" in info:
        message += f" Please use {info['expected']} instead."
    if "reference" in info:
        message += f" More information can be found at {info['reference']}"
    warnings.warn(message, DeprecationWarning, stacklevel=2)
