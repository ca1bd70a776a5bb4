"""The hook of the guide does what it promises."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from raydet.backbones import ResNet
from raydet.engine import get_logger
from raydet.registry import HOOKS

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "writing-a-hook.md"


def trained(backbone: ResNet) -> set[str]:
    return {name.split(".")[0] for name, parameter in backbone.named_parameters() if parameter.requires_grad}


def test_backbone_learns_from_the_epoch_on_and_in_a_resumed_run() -> None:
    code = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)[0]
    try:
        exec(code, {})
        for first in (1, 3):  # 3: resumed behind the epoch
            hook = HOOKS.build(dict(type="UnfreezeBackboneEpochBasedHook", unfreeze_epoch=1))
            backbone = ResNet(depth=18, base_channels=4, frozen_stages=2)
            runner: Any = SimpleNamespace(epoch=0, model=SimpleNamespace(backbone=backbone), logger=get_logger())
            backbone.train()
            hook.before_train_epoch(runner)
            assert trained(backbone) == {"layer3", "layer4"}
            runner.epoch = first
            hook.before_train_epoch(runner)
            backbone.train()
            assert trained(backbone) == {"conv1", "bn1", "layer1", "layer2", "layer3", "layer4"}
    finally:
        HOOKS._members.pop("UnfreezeBackboneEpochBasedHook", None)
