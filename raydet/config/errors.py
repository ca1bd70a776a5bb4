"""Errors of config files: all are `ConfigError`, and also the built-in class that 2.x raised in the same place."""

from __future__ import annotations

from typing import Any


class ConfigError(ValueError):
    """A config file, or something asked of it, is wrong.

    Args:
        message: what is wrong, and what to do.
        place: `file:line` of it, when known.
    """

    def __init__(self, message: str, place: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.place = place

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message, self.place)


class ConfigKeyError(ConfigError, KeyError):
    """A key is missing, taken twice or reserved."""


class ConfigTypeError(ConfigError, TypeError):
    """A value has a type that does not fit its place."""


class ConfigSyntaxError(ConfigError, SyntaxError):
    """A file is not valid Python, YAML or JSON."""


class ConfigImportError(ConfigError, ImportError):
    """A module named in `custom_imports` cannot be imported."""


class ConfigFormatError(ConfigError, OSError):
    """A file has an extension that no config format uses."""
