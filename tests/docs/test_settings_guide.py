"""The page of settings knows every hook and every setting of a training run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from raydet.registry.catalogue import HOOKS

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


SETTINGS = """
    runner workflow seed deterministic diff_seed optimizer fp16 channels_last torch_compile nan_guard mp_start_method
    opencv_num_threads checkpoint_config evaluation load_from resume_from auto_resume find_unused_parameters
    cudnn_benchmark custom_hooks log_config lr_config momentum_config auto_scale_lr profiler total_epochs
"""


@pytest.mark.parametrize("setting", SETTINGS.split())
def test_setting_stands_in_the_guide(setting: str) -> None:
    assert re.search(rf"`{setting}\b", PAGE), f"{setting} is not in docs/guide/settings.md"
