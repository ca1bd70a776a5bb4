"""The page of settings knows every hook and every setting of a training run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from raydet.config.check import TOP_LEVEL_KEYS
from raydet.registry.catalogue import HOOKS, INITIALIZERS

PAGE = (Path(__file__).parents[2] / "docs" / "guide" / "settings.md").read_text()
INTERNAL = {"CheckpointHook", "EvalHook", "DistEvalHook", "IterTimerHook", "DistSamplerSeedHook", "OptimizerHook"}
"""Made from sections of a config, not named in it."""


@pytest.mark.parametrize("name", sorted(set(HOOKS) - INTERNAL))
def test_hook_stands_in_the_guide(name: str) -> None:
    policy = re.fullmatch(r"(\w+?)(Lr|Momentum)UpdaterHook", name)
    short = policy[1] if policy else name
    known = {short, short.lower()}
    known |= {"fp16"} if "Fp16" in name else set()
    assert any(f"`{each}`" in PAGE or f"'{each}'" in PAGE for each in known), f"{name} is not in docs/guide/settings.md"


ELSEWHERE = {"data", "model", "train_cfg", "test_cfg", "work_dir"}
"""Said on other pages, or by the command line."""


@pytest.mark.parametrize("setting", sorted(TOP_LEVEL_KEYS - ELSEWHERE))
def test_setting_stands_in_the_guide(setting: str) -> None:
    assert re.search(rf"`{setting}\b", PAGE), f"{setting} is not in docs/guide/settings.md"


@pytest.mark.parametrize("name", sorted(INITIALIZERS))
def test_initializer_stands_in_the_guide(name: str) -> None:
    assert f"'{name}'" in PAGE, f"{name} is not in docs/guide/settings.md"
