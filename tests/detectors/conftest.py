"""Weights that depend on nothing but the seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tiny_models import config
from torch import nn

from raydet.models import build_detector


@pytest.fixture
def make() -> Callable[..., Any]:
    def build(name: str, **changes: Any) -> nn.Module:
        torch.manual_seed(0)
        model = build_detector({**config(name), **changes})
        model.init_weights()
        return model.eval()

    return build
