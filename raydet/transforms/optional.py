"""Packages that only some transforms need."""

from __future__ import annotations

import importlib
from types import ModuleType


def need(module: str, package: str, user: object) -> ModuleType:
    """Import a module for a transform.

    Args:
        module: its name.
        package: what to install.
        user: the transform.

    Raises:
        ImportError: it is missing or does not work here, with what to do.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{type(user).__name__} needs the package {package}, which cannot be imported ({error}); "
            f"pip install {package}"
        ) from error
