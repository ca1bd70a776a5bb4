"""The code of the page on data runs as it is printed."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from raydet.config import Config
from raydet.datasets import build_dataset
from raydet.datasets.loaders import bad_sample_policy
from raydet.registry import DATASETS, TRANSFORMS

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "data.md"
CONFIG, DATASET, TRANSFORM = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)


@pytest.fixture
def members():
    for code in (DATASET, TRANSFORM):
        exec(compile(code, str(PAGE), "exec"), {})
    yield
    DATASETS._members.pop("SquaresDataset", None)
    TRANSFORMS._members.pop("RandomDim", None)


def test_data_set_and_transform_of_the_page_work_together(members, tmp_path) -> None:
    (tmp_path / "squares.txt").write_text("a.png 60 40 5 5 20 20\n")
    cv2.imwrite(str(tmp_path / "a.png"), np.full((40, 60, 3), 200, np.uint8))
    steps = [{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations"}, {"type": "RandomDim", "least": 0.25}]
    section = {"type": "SquaresDataset", "ann_file": str(tmp_path / "squares.txt"), "img_prefix": str(tmp_path)}
    sample = build_dataset({**section, "pipeline": steps})[0]
    assert 50 <= sample["img"].max() < 200
    assert sample["gt_bboxes"].tolist() == [[5, 5, 20, 20]]


def test_config_of_the_page_has_a_policy_that_holds() -> None:
    cfg = Config.fromstring(CONFIG, ".py")
    assert bad_sample_policy(cfg.data, "train").kind == "skip"
    assert bad_sample_policy(cfg.data, "val").kind == "placeholder"
    assert all(DATASETS.get(name) for name in re.findall(r"`(\w+Dataset)`", PAGE.read_text()))
