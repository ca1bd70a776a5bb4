"""`raydet checkpoint`."""

import json

import pytest
import torch

from raydet.checkpoint import load, load_checkpoint
from raydet.cli import main
from raydet.cli.checkpoint import _KINDS
from raydet.config import Config
from raydet.models import build_detector


def test_info_says_what_is_inside(run_folder, capsys):
    path = str(run_folder / "epoch_1.pth")
    assert main(["checkpoint", "info", path, "--keys", "neck.lateral_convs.0.*"]) == 0
    printed = capsys.readouterr().out
    assert "classes: 1 (nucleus)" in printed
    assert "epoch: 1\niter: 3" in printed
    assert "optimizer: no" in printed
    assert "  neck.lateral_convs.0.conv.weight  (16, 8, 1, 1)  float32" in printed
    assert "neck.lateral_convs.1" not in printed
    assert main(["checkpoint", "info", str(run_folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["parts"].keys() == {"backbone", "neck", "rpn_head", "roi_head"}
    assert main(["checkpoint", "info", path, "--config"]) == 0
    assert capsys.readouterr().out == "the checkpoint holds no config\n"


def test_info_of_a_damaged_file_says_so(run_folder, tmp_path, capsys):
    path = tmp_path / "epoch_1.pth"
    path.write_bytes((run_folder / "epoch_1.pth").read_bytes() + b"x")
    (tmp_path / "epoch_1.pth.sha256").write_text((run_folder / "epoch_1.pth.sha256").read_text())
    assert main(["checkpoint", "info", str(path)]) == 2
    assert "is damaged" in capsys.readouterr().err


def test_converted_weights_load_strictly(run_folder, tmp_path, capsys):
    out = tmp_path / "w.safetensors"
    assert main(["checkpoint", "convert", str(run_folder / "epoch_1.pth"), str(out)]) == 0
    assert str(out) in capsys.readouterr().out
    model = build_detector(Config.fromfile(str(run_folder / "tiny.py")).model)
    load_checkpoint(model, out, strict=True)
    assert load(out)["meta"]["CLASSES"] == ["nucleus"]


def test_publish_names_the_file_by_its_digest(run_folder, tmp_path, capsys):
    assert main(["checkpoint", "publish", str(run_folder / "epoch_1.pth"), str(tmp_path / "nuclei.pth")]) == 0
    (path,) = tmp_path.glob("*.pth")
    assert path.stem.startswith("nuclei-")
    assert path.name in capsys.readouterr().out


def test_upgrade_renames_keys(tmp_path, capsys):
    from raydet.checkpoint.publish import UPGRADES

    assert set(_KINDS) == set(UPGRADES)
    torch.save({"state_dict": {"bbox_head.fc_cls.bias": torch.arange(3.0)}}, tmp_path / "old.pth")
    arguments = ["checkpoint", "upgrade", "--from", "mmdet1", str(tmp_path / "old.pth"), str(tmp_path / "new.pth")]
    assert main(arguments) == 2
    assert "does not say how many classes it knows" in capsys.readouterr().err
    assert main([*arguments, "--num-classes", "2"]) == 0
    assert list(load(tmp_path / "new.pth")["state_dict"]) == ["roi_head.bbox_head.fc_cls.bias"]


@pytest.mark.parametrize(
    ("out", "message"),
    [("epoch_1.pth", "is the file to read"), (".", "is a folder"), ("a.onnx", "ends with '.onnx'")],
)
def test_targets_that_cannot_be_written_are_refused(run_folder, capsys, out, message):
    assert main(["checkpoint", "convert", str(run_folder / "epoch_1.pth"), str(run_folder / out)]) == 2
    assert message in capsys.readouterr().err


def test_a_missing_file_is_named(capsys):
    assert main(["checkpoint", "info", "gone.pth"]) == 2
    assert "gone.pth" in capsys.readouterr().err
