"""`Config`: a whole config, with the 2.x interface."""

from __future__ import annotations

import importlib
import os
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping
from copy import copy, deepcopy
from pathlib import Path
from typing import Any

from raydet.config.config_dict import ConfigDict
from raydet.config.errors import ConfigFormatError, ConfigImportError, ConfigKeyError, ConfigTypeError
from raydet.config.find import find_config
from raydet.config.loader import FORMATS, load_file
from raydet.config.merging import merge, nest
from raydet.config.printing import WRITERS, to_python, to_yaml

RESERVED_KEYS = ("filename", "text", "pretty_text")


class Config:
    """The values of a config file, by attribute or item, and where they came from.

    Args:
        cfg_dict: the values; copied.
        cfg_text: text of the files they came from.
        filename: the file.

    Raises:
        ConfigTypeError: `cfg_dict` is not a dict.
        ConfigKeyError: it uses a name that `Config` needs itself.
    """

    _cfg_dict: ConfigDict
    _filename: str | None
    _text: str

    def __init__(
        self,
        cfg_dict: Mapping[str, Any] | None = None,
        cfg_text: str | None = None,
        filename: str | os.PathLike[str] | None = None,
    ) -> None:
        if not isinstance(cfg_dict, Mapping | None):
            raise ConfigTypeError(f"a config is made from a dict, got {type(cfg_dict).__name__}")
        taken = [key for key in RESERVED_KEYS if key in (cfg_dict or {})]
        if taken:
            place = getattr(cfg_dict, "where", lambda key: None)(taken[0])
            raise ConfigKeyError(f"{taken[0]!r} is a property of Config and cannot be a key; rename it", place)
        if cfg_text is None:
            cfg_text = Path(filename).read_text(encoding="utf-8") if filename else ""
        name = None if filename is None else os.fspath(filename)
        self.__setstate__((ConfigDict(cfg_dict), name, cfg_text))

    @staticmethod
    def fromfile(
        filename: str | os.PathLike[str],
        use_predefined_variables: bool = True,
        import_custom_modules: bool = True,
        trust: bool = False,
    ) -> Config:
        """Read a Python, YAML or JSON file, or a shipped config by name.

        Args:
            filename: path, or name such as `retinanet_r50_fpn_1x_coco`.
            use_predefined_variables: replace `{{ fileDirname }}`, `{{ fileBasename }}`, `{{ fileExtname }}`,
                `{{ fileBasenameNoExtension }}` and `{{ raydetAssets }}`.
            import_custom_modules: import what `custom_imports` names.
            trust: execute Python files; without it only harmless constructs are interpreted.

        Raises:
            FileNotFoundError: no such config.
            ConfigError: something wrong in it, with file and line.
        """
        path = find_config(Path(filename))
        loaded = load_file(path, use_predefined_variables, trust)
        if import_custom_modules and loaded.values.get("custom_imports"):
            import_modules(loaded.values["custom_imports"], loaded.values.where("custom_imports"))
        return Config(loaded.values, loaded.text, os.path.abspath(path))

    @staticmethod
    def fromstring(text: str, file_format: str, trust: bool = False) -> Config:
        """Read a config from a text in the format `.py`, `.json`, `.yaml` or `.yml`."""
        if file_format not in FORMATS:
            raise ConfigFormatError(f"the format of a config is one of {', '.join(FORMATS)}, not {file_format!r}")
        if file_format != ".py" and "dict(" in text:
            warnings.warn("the text looks like Python; did you mean file_format='.py'?", stacklevel=2)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"text{file_format}"
            path.write_text(text, encoding="utf-8")
            loaded = Config.fromfile(path, trust=trust)
        return Config(loaded._cfg_dict, text)

    @property
    def filename(self) -> str | None:
        """The file that was read."""
        return self._filename

    @property
    def text(self) -> str:
        """Text of the file and of its bases, each after a line with its name."""
        return self._text

    @property
    def pretty_text(self) -> str:
        """The whole config as Python, or as YAML when a key is no Python name."""
        values = self._cfg_dict.to_dict()
        try:
            return to_python(values)
        except ConfigKeyError:
            return to_yaml(values)

    def merge_from_dict(self, options: Mapping[str, Any], allow_list_keys: bool = True) -> None:
        """Lay options with dotted keys over the config, as `--cfg-options` does.

        Args:
            options: such as `{"model.backbone.depth": 101, "data.train.pipeline.0.type": "Mine"}`; a dict is merged.
            allow_list_keys: numbers in a key address elements of lists.
        """
        merged = merge(ConfigDict(nest(options)), self._cfg_dict, allow_list_keys)
        object.__setattr__(self, "_cfg_dict", ConfigDict(merged))

    def dump(self, file: str | os.PathLike[str] | None = None) -> str | None:
        """Write the config to a file in the format of its extension; without a file return the text.

        The text has the format of the file the config was read from, or Python.
        """
        kind = Path(file if file is not None else self._filename or "config.py").suffix
        if kind not in WRITERS:
            raise ConfigFormatError(f"{file}: configs are written as one of {', '.join(FORMATS)}, not {kind!r}")
        text = WRITERS[kind](self._cfg_dict.to_dict())
        if file is None:
            return text
        Path(file).write_text(text, encoding="utf-8")
        return None

    def where(self, key: Any = None) -> str | None:
        """`file:line` of a top-level key."""
        return self._cfg_dict.where(key)

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a top-level key, or `default`."""
        return self._cfg_dict.get(key, default)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "_cfg_dict" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self._cfg_dict, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in RESERVED_KEYS:
            raise AttributeError(f"{name!r} is a property of Config and cannot be set")
        setattr(self._cfg_dict, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._cfg_dict, name)

    def __getitem__(self, key: str) -> Any:
        return self._cfg_dict[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._cfg_dict[key] = value

    def __delitem__(self, key: str) -> None:
        del self._cfg_dict[key]

    def __contains__(self, key: object) -> bool:
        return key in self._cfg_dict

    def __iter__(self) -> Iterator[str]:
        return iter(self._cfg_dict)

    def __len__(self) -> int:
        return len(self._cfg_dict)

    def __dir__(self) -> Iterable[str]:
        return sorted({*super().__dir__(), *self._cfg_dict})

    def __repr__(self) -> str:
        return f"Config (path: {self._filename}): {dict(self._cfg_dict)!r}"

    def __eq__(self, other: object) -> bool:
        return self._cfg_dict == other._cfg_dict if isinstance(other, Config) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __getstate__(self) -> tuple[ConfigDict, str | None, str]:
        return self._cfg_dict, self._filename, self._text

    def __setstate__(self, state: tuple[ConfigDict, str | None, str]) -> None:
        for name, value in zip(("_cfg_dict", "_filename", "_text"), state, strict=True):
            object.__setattr__(self, name, value)

    def __copy__(self) -> Config:
        return Config(copy(self._cfg_dict), self._text, self._filename)

    def __deepcopy__(self, memo: dict[int, Any]) -> Config:
        twin = Config.__new__(Config)
        twin.__setstate__((deepcopy(self._cfg_dict, memo), self._filename, self._text))
        return twin


def import_modules(custom_imports: Mapping[str, Any], place: str | None = None) -> list[Any]:
    """Import what `custom_imports = dict(imports=[...], allow_failed_imports=False)` names.

    Raises:
        ConfigTypeError: `imports` is not a text or a list of texts.
        ConfigImportError: a module cannot be imported and failures are not allowed.
    """
    names = custom_imports.get("imports") or []
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise ConfigTypeError(f"custom_imports.imports is a list of module names, got {names!r}", place)
    return [_import(name, custom_imports.get("allow_failed_imports", False), place) for name in names]


def _import(name: str, may_fail: bool, place: str | None) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        if not may_fail:
            raise ConfigImportError(
                f"custom_imports names {name!r}, which cannot be imported: {error}; put its folder on PYTHONPATH", place
            ) from error
        warnings.warn(f"custom_imports: {name} failed to import and is ignored: {error}", UserWarning, stacklevel=2)
        return None
