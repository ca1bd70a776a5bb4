"""The sweep files in the guide are valid."""

import re
from pathlib import Path

import pytest

from raydet.search.families import family_names
from raydet.search.file import load_sweep
from raydet.search.grammar import NODES
from raydet.search.settings import SweepSettings

GUIDE = Path(__file__).parents[2] / "docs/guide/sweeps.md"
TEXT = GUIDE.read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_example_is_a_sweep_or_a_part_of_one(tmp_path, block):
    lines = [line for line in block.splitlines() if ".*." not in line]  # this one is for models with stages
    if not block.startswith("base:"):
        lines = ["base: retinanet_r50_fpn_1x_coco", "objective: {metric: bbox_mAP}", *lines]
        if "points:" in block:
            lines += [
                "space:",
                "  optimizer: {family: optimizers}",
                "  model.bbox_head.loss_bbox: {family: regression_losses}",
            ]
    file = tmp_path / "guide.yaml"
    file.write_text("\n".join(lines))
    assert load_sweep(file).space.parameters()


def test_guide_tells_of_every_section_operator_and_family():
    for name in (*SweepSettings.__struct_fields__, *NODES, *family_names()):
        assert re.search(rf"`[{{]?{name}", TEXT), name
