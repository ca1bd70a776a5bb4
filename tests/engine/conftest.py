from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from raydet.config import Config

sys.path.insert(0, str(Path(__file__).parent))  # for small_detector and its like, also in processes started by tests


@pytest.fixture
def make_config(tmp_path: Path) -> Callable[..., Config]:
    """Makes a small config whose files stand in the test's own folder."""
    from small_detector import small_config

    def make(**changes: object) -> Config:
        return small_config(tmp_path / "data", **changes)

    return make
