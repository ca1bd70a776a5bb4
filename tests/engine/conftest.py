from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from small_detector import small_config

from raydet.config import Config


@pytest.fixture
def make_config(tmp_path: Path) -> Callable[..., Config]:
    """Makes a small config whose files stand in the test's own folder."""

    def make(**changes: object) -> Config:
        return small_config(tmp_path / "data", **changes)

    return make
