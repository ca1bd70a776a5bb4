from __future__ import annotations

import json

import pytest

from raydet.cli import main


@pytest.fixture
def config(tmp_path):
    """A config whose data has one image of 8 x 8 pixels that does not exist, in `train`, and none in `val`."""
    content = {"images": [{"id": 1, "file_name": "a.jpg", "width": 8, "height": 8}], "categories": []}
    (tmp_path / "bad.json").write_text(json.dumps(content))
    (tmp_path / "good.json").write_text(json.dumps({**content, "images": []}))
    sections = [
        f"{split}=dict(type='CocoDataset', classes=[], pipeline=[], data_root={str(tmp_path)!r}, ann_file={name!r})"
        for split, name in (("train", "bad.json"), ("val", "good.json"))
    ]
    (tmp_path / "config.py").write_text(f"data = dict({', '.join(sections)})")
    return str(tmp_path / "config.py")


def test_errors_give_exit_code_1_and_a_report(config, capsys):
    assert main(["check-data", config]) == 1
    assert "X missing image: 1" in capsys.readouterr().out


def test_good_data_gives_exit_code_0(config, capsys):
    assert main(["check-data", config, "--split", "val"]) == 0
    assert main(["check-data", config, "--no-images"]) == 0


def test_report_as_json_and_page(config, tmp_path, capsys):
    assert main(["check-data", config, "--split", "all", "--json", "--html", str(tmp_path / "page.html")]) == 1
    train, val = json.loads(capsys.readouterr().out)
    assert (train["errors"], val["errors"]) == (1, 0)
    assert "missing image" in (tmp_path / "page.html").read_text()
