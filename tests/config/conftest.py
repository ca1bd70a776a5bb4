from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes files such as `write(base_py="a = 1")` below a temporary folder and returns the path of the last one."""

    def write_files(**texts: str) -> Path:
        path = tmp_path
        for name, text in texts.items():
            stem, _, extension = name.rpartition("_")
            path = tmp_path / f"{stem}.{extension}"
            path.write_text(dedent(text), encoding="utf-8")
        return path

    return write_files
