from __future__ import annotations

import json
import shutil

import cv2
import pytest
from pycocotools import mask as rle_tools

from raydet.cli import main


def infer(*arguments):
    return main(["infer", *map(str, arguments), "--device", "cpu"])


def test_infer_of_a_run_writes_pictures_and_detections(run_folder, images, tmp_path, capsys):
    sources = [images / "0001.png", images / "0002.png"]
    assert infer(*sources, "--run", run_folder, "--out", tmp_path / "out", "--score-thr", 0) == 0
    written = json.loads((tmp_path / "out" / "detections.json").read_text())
    first = written["images"][0]
    assert written["classes"] == ["nucleus"]
    assert (first["file"], first["width"], first["height"]) == (str(sources[0]), 128, 128)
    assert {"bbox", "label", "class", "score", "segmentation"} == set(first["detections"][0])
    assert rle_tools.decode(first["detections"][0]["segmentation"]).shape == (128, 128)
    assert (cv2.imread(str(tmp_path / "out" / "0002.png")) != cv2.imread(str(sources[1]))).any()
    assert "2 images done" in capsys.readouterr().out


def test_infer_with_config_and_checkpoint_orders_detections_by_score(run_folder, images, tmp_path):
    model = ["--config", run_folder / "tiny.py", "--checkpoint", run_folder / "epoch_1.pth"]
    assert infer(images / "0001.png", *model, "--out", tmp_path, "--score-thr", 0, "--no-pictures") == 0
    found = json.loads((tmp_path / "detections.json").read_text())["images"][0]["detections"]
    scores = [each["score"] for each in found]
    assert scores == sorted(scores, reverse=True)
    assert not list(tmp_path.glob("*.png"))


def test_infer_leaves_broken_images_out_and_returns_1(run_folder, images, tmp_path, capsys):
    (tmp_path / "broken.png").write_bytes(b"no image")
    sources = [tmp_path / "broken.png", images / "0001.png"]
    assert infer(*sources, "--run", run_folder, "--out", tmp_path / "out") == 1
    assert "broken.png is left out" in capsys.readouterr().err
    assert len(json.loads((tmp_path / "out" / "detections.json").read_text())["images"]) == 1


def test_infer_without_a_model_takes_the_newest_run(run_folder, images, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(run_folder, tmp_path / "work_dirs" / "first")
    assert infer(images / "0001.png", "--out", "drawn") == 0
    assert "model: work_dirs/first/epoch_1.pth" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("source", "model", "message"),
    [
        ("0001.png", [], "which model?"),
        ("0001.png", ["--run", "no-such-run"], "there is no run folder no-such-run"),
        ("gone.png", ["--run", "no-such-run"], "there is no picture"),
    ],
)
def test_infer_without_what_it_needs_says_so_and_returns_2(
    images, tmp_path, monkeypatch, capsys, source, model, message
):
    monkeypatch.chdir(tmp_path)
    assert infer(images / source, *model, "--out", tmp_path) == 2
    assert message in capsys.readouterr().err
