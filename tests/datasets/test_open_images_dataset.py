from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from raydet.datasets import OpenImagesChallengeDataset, OpenImagesDataset, build_dataset

HEADER = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside"
BOXES = """
000012,x,/m/cat,1,0.1,0.5,0.2,0.6,1,0,0,0,0
000a,x,/m/animal,1,0,1,0,1,0,0,1,0,0
000012,x,/m/animal,1,0.5,1,0.5,1,0,1,0,1,1
"""
HIERARCHY = {
    "LabelName": "/m/thing",
    "Subcategory": [
        {"LabelName": "/m/animal", "Subcategory": [{"LabelName": "/m/pet", "Subcategory": [{"LabelName": "/m/cat"}]}]},
        {"LabelName": "/m/car"},
    ],
}


@pytest.fixture
def arguments(tmp_path: Path) -> dict[str, Any]:
    """Two images; the hierarchy has a class, pets, that the label file does not have."""
    files = {
        "boxes.csv": HEADER + BOXES.rstrip(),
        "labels.csv": '/m/cat,Cat\n/m/animal,"Animal, living"\n/m/car,Car\n',
        "images.csv": "ImageID,Source,LabelName,Confidence\n000a,v,/m/car,0\n000a,v,/m/cat,1\n",
        "tree.json": json.dumps(HIERARCHY),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    metas = [
        {"filename": "any/000012.jpg", "ori_shape": (40, 80, 3)},
        {"filename": "000a.jpg", "ori_shape": (30, 20, 3)},
    ]
    (tmp_path / "metas.pkl").write_bytes(pickle.dumps(metas))
    return {
        "data_root": str(tmp_path),
        "ann_file": "boxes.csv",
        "label_file": "labels.csv",
        "image_level_ann_file": "images.csv",
        "hierarchy_file": "tree.json",
        "meta_file": "metas.pkl",
        "img_prefix": "",
        "pipeline": [],
    }


def test_boxes_are_grouped_by_image_whatever_the_order_of_the_lines(arguments) -> None:
    dataset = OpenImagesDataset(**arguments)
    assert dataset.CLASSES == ["Cat", "Animal, living", "Car"]
    assert list(dataset.data_infos) == [
        {"img_id": "000012", "filename": "000012.jpg"},
        {"img_id": "000a", "filename": "000a.jpg"},
    ]
    found = dataset.get_ann_info(0)
    assert np.allclose(found["bboxes"], [[0.1, 0.2, 0.5, 0.6], [0.5, 0.5, 1, 1]])
    assert found["labels"].tolist() == [0, 1]
    assert found["is_occludeds"].tolist() == [True, False]
    assert found["is_truncateds"].tolist() == found["is_insides"].tolist() == [False, True]
    assert dataset.get_ann_info(1)["gt_is_group_ofs"].tolist() == [True]
    assert dataset.get_cat_ids(0) == [0, 1]
    assert dataset.get_cat2imgs() == {0: [0], 1: [0, 1], 2: []}
    assert dataset.flag.tolist() == [0, 0]


def test_changing_an_annotation_leaves_the_data_set_alone(arguments) -> None:
    dataset = OpenImagesDataset(**arguments)
    dataset.get_ann_info(0)["bboxes"][:] = 7
    assert dataset.get_ann_info(0)["bboxes"].max() == 1


def test_hierarchy_reaches_over_classes_without_a_label(arguments) -> None:
    tree = OpenImagesDataset(**arguments).class_label_tree
    assert tree.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]


def test_boxes_become_pixels_in_the_pipeline(arguments, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "000012.jpg"), np.zeros((40, 80, 3), np.uint8))
    pipeline = [{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations", "denorm_bbox": True}]
    sample = OpenImagesDataset(**{**arguments, "pipeline": pipeline})[0]
    assert np.allclose(sample["gt_bboxes"], [[8, 8, 40, 24], [40, 20, 80, 40]])
    assert sample["gt_is_group_ofs"].tolist() == [False, False]


def test_image_sizes_come_from_the_file_or_from_the_images(arguments, tmp_path: Path) -> None:
    dataset = OpenImagesDataset(**arguments)
    assert [dataset.image_size(i) for i in range(2)] == [(40, 80), (30, 20)]
    cv2.imwrite(str(tmp_path / "000a.jpg"), np.zeros((11, 22, 3), np.uint8))
    assert OpenImagesDataset(**{**arguments, "load_from_file": False}).image_size(1) == (11, 22)
    (tmp_path / "metas.pkl").write_bytes(pickle.dumps([]))
    with pytest.raises(ValueError, match=r"metas\.pkl lacks 000012\.jpg"):
        OpenImagesDataset(**arguments).image_size(0)


def test_image_level_labels(arguments) -> None:
    dataset = OpenImagesDataset(**arguments)
    assert [dataset.image_level_labels(i).tolist() for i in range(2)] == [[], [2, 0]]
    assert OpenImagesDataset(**arguments, load_image_level_labels=False).image_level_labels(0) is None
    with pytest.raises(ValueError, match="load_image_level_labels=False"):
        OpenImagesDataset(**{**arguments, "image_level_ann_file": ""}).image_level_labels(0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label_file": "labels.txt"}, r"label_file, a file that ends in \.csv, got 'labels\.txt'"),
        ({"hierarchy_file": None}, r"hierarchy_file, a file that ends in \.json"),
        ({"ann_file": "images.csv"}, r"images\.csv: expected a csv file with the columns ImageID"),
        ({"label_file": "few.csv"}, r"boxes\.csv has 1 classes that label_file lacks, such as \['/m/animal'\]"),
    ],
)
def test_wrong_files_are_named(arguments, tmp_path: Path, change: dict[str, Any], message: str) -> None:
    (tmp_path / "few.csv").write_text("/m/cat,Cat\n")
    with pytest.raises(ValueError, match=message):
        OpenImagesDataset(**{**arguments, **change})


@pytest.fixture
def challenge(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "boxes.txt").write_text("a/1.jpg\n1\n2\n2 0.1 0.2 0.3 0.4 0\n1 0 0 1 1 1\na/2.jpg\n1\n0\n")
    (tmp_path / "labels.csv").write_text("/m/car,Car,2\n/m/cat,Cat,1\n")
    (tmp_path / "images.csv").write_text("ImageID,LabelName,Confidence\n2,/m/car,1\n")
    with (tmp_path / "tree.np").open("wb") as file:
        np.save(file, np.eye(3))
    files = {"ann_file": "boxes.txt", "label_file": "labels.csv", "image_level_ann_file": "images.csv"}
    return {"data_root": str(tmp_path), **files, "hierarchy_file": "tree.np", "pipeline": []}


def test_challenge_numbers_its_classes_from_1(challenge) -> None:
    dataset = OpenImagesChallengeDataset(**challenge)
    assert dataset.CLASSES == ["Cat", "Car"]
    assert len(dataset) == 2
    assert dataset.get_cat_ids(0) == [1, 0]
    assert dataset.get_ann_info(0)["gt_is_group_ofs"].tolist() == [False, True]
    assert dataset.get_ann_info(1)["bboxes"].shape == (0, 4)
    assert dataset.image_level_labels(1).tolist() == [1]
    assert dataset.class_label_tree.tolist() == [[1, 0], [0, 1]]


def test_challenge_names_the_line_of_a_broken_image(challenge, tmp_path: Path) -> None:
    (tmp_path / "boxes.txt").write_text("a/1.jpg\n1\n0\na/2.jpg\n1\n2\n2 0.1 0.2 0.3 0.4 0\n")
    with pytest.raises(ValueError, match=r"boxes\.txt: the image of line 4 is not of the form"):
        OpenImagesChallengeDataset(**challenge)
    with pytest.raises(ValueError, match=r"ends in \.txt"):
        OpenImagesChallengeDataset(**{**challenge, "ann_file": "boxes.csv"})


PERFECT = [
    [np.array([[8, 8, 40, 24, 0.9]], np.float32), np.array([[40, 20, 80, 40, 0.9]], np.float32), np.zeros((0, 5))],
    [np.zeros((0, 5)), np.array([[0, 0, 20, 30, 0.8]], np.float32), np.array([[0, 0, 9, 9, 0.9]], np.float32)],
]


@pytest.mark.parametrize("separate", [True, False])
def test_concatenated_sets_are_evaluated_apart_or_as_one(arguments, separate: bool) -> None:
    cfg = {**arguments, "type": "OpenImagesDataset", "ann_file": ["boxes.csv"] * 2, "separate_eval": separate}
    dataset = build_dataset({**cfg, "test_mode": True})
    scores = dataset.evaluate(PERFECT * 2, logger="silent")
    assert set(scores.values()) == {1.0}
    assert len(scores) == (4 if separate else 2)
    assert dataset.get_cat_ids(-1) == [1]
