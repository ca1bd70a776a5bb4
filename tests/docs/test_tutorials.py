"""The code of the guides runs as it is printed."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from raydet.config import Config
from raydet.models import build_detector
from raydet.registry import HEADS

GUIDE = Path(__file__).parents[2] / "docs" / "guide"


def blocks(page: str) -> list[str]:
    """The Python blocks of a page."""
    return re.findall(r"```python\n(.*?)```", (GUIDE / page).read_text(), flags=re.DOTALL)


@pytest.fixture
def fit_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Config]:
    head, config = blocks("writing-a-head.md")
    (tmp_path / "fit_head.py").write_text(head)
    (tmp_path / "fit.py").write_text(config)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield Config.fromfile(str(tmp_path / "fit.py"))
    sys.modules.pop("fit_head", None)
    HEADS._members.pop("FitHead", None)


def test_head_of_the_tutorial_learns_and_detects(fit_config: Config) -> None:
    fit_config.model.backbone.init_cfg = None
    model = build_detector(fit_config.model)
    image = torch.rand(1, 3, 64, 64)
    meta = {"img_shape": (64, 64, 3), "scale_factor": 1.0, "ori_shape": (64, 64, 3), "pad_shape": (64, 64, 3)}
    boxes = [torch.tensor([[8.0, 8.0, 40.0, 40.0]])]
    losses = model(image, [meta], gt_bboxes=boxes, gt_labels=[torch.tensor([3])])
    assert set(losses) == {"loss_cls", "loss_bbox", "loss_fit"}
    sum(losses.values()).backward()
    assert model.bbox_head.retina_fit.weight.grad.abs().sum() > 0
    assert len(model.eval()([image], [[meta]], return_loss=False)[0]) == 80


def test_imports_of_the_migration_page_exist() -> None:
    rows = re.findall(r"\| `from mm.*?\| `(.*)` \|", (GUIDE / "coming-from-mmdetection.md").read_text())
    assert len(rows) > 8
    for row in rows:
        exec("\n".join(row.split("`; `")), {})
