from __future__ import annotations

import pytest

from raydet.cli import main


def browse(tmp_path, *arguments):
    return main(["browse", "demo/nuclei_mask_rcnn", "--out", str(tmp_path), *arguments])


def test_last_step_of_some_images(tmp_path, capsys):
    assert browse(tmp_path, "--num", "2") == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0000_08_Collect.png", "0001_08_Collect.png"]
    assert "2 pictures" in capsys.readouterr().out


def test_all_steps_of_a_split(tmp_path):
    assert browse(tmp_path, "--num", "1", "--stage", "all", "--split", "val") == 0
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["0000_01_LoadImageFromFile.png", "0000_02_MultiScaleFlipAug.png"]


@pytest.mark.parametrize(("stage", "message"), [("0", "from 1 on"), ("x", "from 1 on"), ("40", "steps 1 to 8")])
def test_wrong_stage_returns_2(tmp_path, capsys, stage, message):
    assert browse(tmp_path, "--stage", stage) == 2
    assert message in capsys.readouterr().err
