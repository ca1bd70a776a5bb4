from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from raydet.datasets import YOLODataset, build_dataset


@pytest.fixture
def yolo(tmp_path: Path) -> Path:
    """Three images: a box and a polygon, an empty label file, none at all."""
    for name, (width, height) in {"a": (100, 50), "deep/b": (60, 80), "c": (40, 40)}.items():
        path = tmp_path / "images" / "train" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((height, width, 3), 90, np.uint8))
    labels = tmp_path / "labels" / "train"
    (labels / "deep").mkdir(parents=True)
    (labels / "a.txt").write_text("1 0.5 0.5 0.2 0.4\n\n0 0.1 0.2 0.3 0.2 0.3 0.6\n")
    (labels / "deep" / "b.txt").write_text("")
    (tmp_path / "data.yaml").write_text("train: images/train\nnames: {0: cat, 1: big dog}\n")
    return tmp_path


def check_first(dataset: YOLODataset) -> None:
    info = dataset.get_ann_info(0)
    assert dataset.data_infos[0]["filename"].endswith("a.png")
    assert info["bboxes"].tolist() == [[40, 15, 60, 35], [10, 10, 30, 30]]
    assert info["labels"].tolist() == [1, 0]
    assert info["masks"] == [None, [[10, 10, 30, 10, 30, 30]]]


def test_yolo_of_a_data_yaml_has_boxes_and_polygons(yolo: Path) -> None:
    dataset = YOLODataset(str(yolo / "data.yaml"), [{"type": "LoadImageFromFile"}], test_mode=True)
    check_first(dataset)
    assert list(dataset.CLASSES or ()) == ["cat", "big dog"]
    assert [info["filename"] for info in dataset.data_infos] == ["a.png", "c.png", "deep/b.png"]
    assert dataset[2]["img"].shape == (80, 60, 3)
    assert dataset.coco.anns[2]["area"] == pytest.approx(200)


def test_yolo_for_training_leaves_out_images_without_objects(yolo: Path) -> None:
    cfg = {"type": "YOLODataset", "ann_file": "data.yaml", "data_root": str(yolo), "pipeline": []}
    assert len(build_dataset(cfg)) == 1
    assert len(build_dataset({**cfg, "filter_empty_gt": False})) == 3
    assert build_dataset({**cfg, "classes": ["big dog"]}).get_ann_info(0)["labels"].tolist() == [0]


def test_yolo_of_a_label_folder_finds_images_and_names(yolo: Path) -> None:
    place = str(yolo / "labels" / "train")
    check_first(YOLODataset(place, [], test_mode=True))
    (yolo / "data.yaml").unlink()
    with pytest.raises(ValueError, match=r"pass classes=\[\.\.\.\]"):
        YOLODataset(place, [])
    check_first(YOLODataset(place, [], classes=["cat", "big dog"], test_mode=True))
    (yolo / "labels" / "classes.txt").write_text("cat\nbig dog\n")
    check_first(YOLODataset(place, [], img_prefix=str(yolo / "images" / "train"), test_mode=True))


def as_list(root: Path) -> str:
    (root / "train.txt").write_text("./images/train/a.png\n")
    return "train: train.txt\nnames: [cat, big dog]\n"


def as_roboflow(root: Path) -> str:
    for kind in ("images", "labels"):
        (root / "train").mkdir(exist_ok=True)
        (root / kind / "train").rename(root / "train" / kind)
    return "train: ../train/images\nnames: [cat, big dog]\n"


def as_path(root: Path) -> str:
    return f"path: {root}\ntrain: images/train\nnames: [cat, big dog]\n"


@pytest.mark.parametrize("form", [as_list, as_roboflow, as_path])
def test_yolo_of_other_forms_of_data_yaml(yolo: Path, form: Callable[[Path], str]) -> None:
    (yolo / "data.yaml").write_text(form(yolo))
    check_first(YOLODataset(str(yolo / "data.yaml"), [], test_mode=True))


def test_yolo_in_an_archive(yolo: Path) -> None:
    with zipfile.ZipFile(yolo / "all.zip", "w") as archive:
        for path in [*yolo.rglob("*.png"), *yolo.rglob("*.txt"), yolo / "data.yaml"]:
            archive.write(path, path.relative_to(yolo))
    dataset = YOLODataset(f"zip://{yolo}/all.zip!/data.yaml", [{"type": "LoadImageFromFile"}], test_mode=True)
    check_first(dataset)
    assert dataset[0]["img"].shape == (50, 100, 3)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("cat 0.5 0.5 0.2 0.4", r"a\.txt:1: a label is made of numbers"),
        ("0 0.5 0.5 0.2", r"a\.txt:1: .*got 4 numbers"),
        ("0 0.5 0.5 0.2 0.4 0.9", r"a\.txt:1: .*got 6 numbers"),
        ("2 0.5 0.5 0.2 0.4", "class 2 is none of the 2 classes"),
        ("0 50 25 20 20", "fractions of the image size"),
        ("0 nan 0.5 0.2 0.4", "fractions of the image size"),
    ],
)
def test_yolo_line_that_is_no_label_is_named(yolo: Path, line: str, message: str) -> None:
    (yolo / "labels" / "train" / "a.txt").write_text(line)
    with pytest.raises(ValueError, match=message):
        YOLODataset(str(yolo / "data.yaml"), [])


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("names: [a]", ValueError, "'train' must be a folder"),
        ("train: images/val\nnames: [a]", FileNotFoundError, "no images in .*images/val"),
        ("train: images/train\nnames: {1: a}", ValueError, r"got \[1\]"),
    ],
)
def test_yolo_data_yaml_that_does_not_fit_says_why(yolo: Path, text: str, kind: type, message: str) -> None:
    (yolo / "data.yaml").write_text(text)
    with pytest.raises(kind, match=message):
        YOLODataset(str(yolo / "data.yaml"), [])


def test_yolo_evaluates_its_own_boxes_as_perfect(yolo: Path) -> None:
    dataset = YOLODataset(str(yolo / "data.yaml"), [], test_mode=True)
    results: list[Any] = []
    for i in range(len(dataset)):
        info = dataset.get_ann_info(i)
        rows = np.concatenate([info["bboxes"], np.ones((len(info["bboxes"]), 1), np.float32)], axis=1)
        results.append([rows[info["labels"] == label] for label in range(2)])
    assert dataset.evaluate(results, logger="silent")["bbox_mAP"] == pytest.approx(1.0)
