"""`raydet convert`."""

import json

import cv2
import numpy as np
import pytest

from raydet.cli import main
from raydet.datasets import ParquetDataset


@pytest.fixture
def files(tmp_path):
    """A COCO file, its images, and a config that repeats them."""
    (tmp_path / "images").mkdir()
    for name in ("a", "b"):
        cv2.imwrite(str(tmp_path / "images" / f"{name}.png"), np.full((40, 50, 3), 7, np.uint8))
    images = [{"id": i, "file_name": f"{name}.png", "width": 50, "height": 40} for i, name in ((3, "a"), (8, "b"))]
    annotation = {"id": 4, "image_id": 8, "category_id": 2, "bbox": [1.25, 2, 10, 20]}
    content = {"images": images, "annotations": [annotation], "categories": [{"id": 2, "name": "thing"}]}
    (tmp_path / "coco.json").write_text(json.dumps(content))
    (tmp_path / "config.py").write_text(
        f"""
leaf = dict(type='CocoDataset', ann_file='coco.json', data_root={str(tmp_path)!r}, img_prefix='images',
            classes=['thing'], pipeline=[dict(type='LoadImageFromFile'), dict(type='Unknown')])
data = dict(train=dict(type='RepeatDataset', times=3, dataset=leaf))
"""
    )
    return tmp_path


def test_convert_of_a_config_embeds_the_images_of_a_split(files, capsys):
    out = str(files / "out")
    assert (
        main(["convert", str(files / "config.py"), "--to", "parquet", out, "--embed-images", "--shard-size", "1"]) == 0
    )
    assert f"2 images in 2 files in {out}" in capsys.readouterr().out
    (files / "images" / "a.png").unlink()
    dataset = ParquetDataset(out, [{"type": "LoadImageFromFile"}], test_mode=True)
    assert dataset.img_ids == [3, 8]
    assert dataset[0]["img"].shape == (40, 50, 3)
    assert dataset.get_ann_info(1)["bboxes"].tolist() == [[1.25, 2, 11.25, 22]]


def test_convert_of_an_annotation_file_and_again_of_what_it_gave(files):
    first, second = str(files / "first"), str(files / "second")
    assert main(["convert", str(files / "coco.json"), first, "--img-prefix", str(files / "images")]) == 0
    assert main(["convert", first, second]) == 0
    dataset = ParquetDataset(second, [{"type": "LoadImageFromFile"}])
    assert dataset.cat_ids == [2]
    assert dataset[0]["img"].shape == (40, 50, 3)


def test_convert_of_yolo_labels(files):
    (files / "labels").mkdir()
    (files / "labels" / "b.txt").write_text("0 0.5 0.5 0.5 0.5")
    (files / "data.yaml").write_text("val: images\nnames: [thing]\n")
    assert main(["convert", str(files / "data.yaml"), str(files / "out"), "--split", "val"]) == 0
    assert ParquetDataset(str(files / "out"), []).get_ann_info(0)["bboxes"].tolist() == [[12.5, 10, 37.5, 30]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["coco.json", "images"], "holds 2 other files"),
        (["config.py", "out", "--split", "val"], "no data.val; --split can be one of train"),
        (["coco.json", "out", "--shard-size", "0"], "--shard-size must be 1 at least"),
    ],
)
def test_convert_that_cannot_be_done_says_why(files, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(files)
    assert main(["convert", *arguments]) == 2
    assert message in capsys.readouterr().err
