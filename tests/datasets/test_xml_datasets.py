"""PASCAL VOC, WIDER FACE and their base."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from raydet.datasets import ConcatDataset, VOCDataset, WIDERFaceDataset, XMLDataset, build_dataset

CLASSES = ["cat", "dog"]
Object = tuple[str, int, tuple[Any, ...]]


def xml(size: tuple[int, int] | None, objects: Sequence[Object], folder: str = "x") -> str:
    said = "" if size is None else f"<size><width>{size[0]}</width><height>{size[1]}</height></size>"
    corners = ("xmin", "ymin", "xmax", "ymax")
    nodes = []
    for name, difficult, box in objects:
        values = "".join(f"<{key}>{value}</{key}>" for key, value in zip(corners, box, strict=True))
        nodes.append(f"<object><name>{name}</name><difficult>{difficult}</difficult><bndbox>{values}</bndbox></object>")
    return f"<annotation><folder>{folder}</folder>{said}{''.join(nodes)}</annotation>"


@pytest.fixture
def write_voc(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Writes a small data set and returns the arguments that open it."""

    def write(images: dict[str, str], year: int = 2007) -> dict[str, Any]:
        root = tmp_path / f"VOC{year}"
        (root / "Annotations").mkdir(parents=True)
        for name, text in images.items():
            (root / "Annotations" / f"{name}.xml").write_text(text)
        (root / "list.txt").write_text("\n".join(images) + "\n")
        return {"ann_file": str(root / "list.txt"), "img_prefix": f"{root}/", "pipeline": [], "classes": CLASSES}

    return write


TWO = {
    "a": xml((100, 80), [("dog", 0, (11, 21, 31, 41)), ("cat", 1, (1, 1, 9, 9)), ("cow", 0, (1, 1, 50, 50))]),
    "b": xml((60, 90), [("cat", 0, ("5.0", "6.9", "20", "30"))]),
}


def test_boxes_count_pixels_from_0_and_difficult_ones_are_ignored(write_voc) -> None:
    dataset = VOCDataset(**write_voc(TWO))
    assert dataset.data_infos[0] == {"id": "a", "filename": "JPEGImages/a.jpg", "width": 100, "height": 80}
    found = dataset.get_ann_info(0)
    assert found["bboxes"].tolist() == [[10, 20, 30, 40]]
    assert found["labels"].tolist() == [1]
    assert found["bboxes_ignore"].tolist() == [[0, 0, 8, 8]]
    assert found["labels_ignore"].tolist() == [0]
    assert (found["bboxes"].dtype, found["labels"].dtype) == (np.float32, np.int64)
    assert dataset.get_ann_info(1)["bboxes"].tolist() == [[4, 5, 19, 29]]
    assert [dataset.get_cat_ids(i) for i in range(2)] == [[1, 0], [0]]
    assert dataset.flag.tolist() == [1, 0]


def test_training_leaves_out_images_without_objects_of_the_classes_and_small_ones(write_voc) -> None:
    images = {**TWO, "c": xml((90, 90), [("cow", 0, (1, 1, 50, 50))]), "d": xml((90, 20), [("cat", 0, (1, 1, 9, 9))])}
    arguments = write_voc(images)
    assert [info["id"] for info in VOCDataset(**arguments).data_infos] == ["a", "b"]
    assert [info["id"] for info in VOCDataset(**arguments, filter_empty_gt=False).data_infos] == ["a", "b", "c"]
    assert len(VOCDataset(**arguments, test_mode=True)) == 4
    kept = VOCDataset(**{**arguments, "classes": ["cow"]})
    assert [kept.get_cat_ids(i) for i in range(len(kept))] == [[0], [0]]


def test_small_objects_are_ignored_when_training(write_voc) -> None:
    arguments = write_voc({"a": xml((90, 90), [("cat", 0, (1, 1, 31, 10)), ("dog", 0, (1, 1, 31, 31))])})
    found = XMLDataset(**arguments, min_size=20).get_ann_info(0)
    assert found["labels"].tolist() == [1]
    assert found["labels_ignore"].tolist() == [0]
    with pytest.raises(ValueError, match="min_size=20 is for training"):
        XMLDataset(**arguments, min_size=20, test_mode=True)


def test_size_comes_from_the_image_when_the_file_does_not_say_it(write_voc) -> None:
    arguments = write_voc({"a": xml(None, [("cat", 0, (1, 1, 31, 31))])})
    folder = Path(arguments["img_prefix"]) / "pics"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.jpg"), np.zeros((40, 70, 3), np.uint8))
    info = XMLDataset(**arguments, img_subdir="pics").data_infos[0]
    assert (info["width"], info["height"]) == (70, 40)


def test_wider_face_finds_images_in_their_folders(write_voc) -> None:
    arguments = write_voc({"a": xml((90, 90), [("face", 0, (1, 1, 31, 31))], folder="3--Riot")})
    del arguments["classes"]
    dataset = WIDERFaceDataset(**arguments)
    assert dataset.data_infos[0]["filename"] == "3--Riot/a.jpg"
    assert dataset.CLASSES == ("face",)
    assert dataset.get_cat_ids(0) == [0]


def test_users_subclass_may_list_its_images_itself(write_voc) -> None:
    class Mine(XMLDataset):
        CLASSES = ("dog",)

        def load_annotations(self, ann_file: str) -> list[dict[str, Any]]:
            return [{"id": "a", "filename": "a.jpg", "width": 100, "height": 80}]

    arguments = write_voc(TWO)
    del arguments["classes"]
    assert Mine(**arguments).get_ann_info(0)["bboxes"].tolist() == [[10, 20, 30, 40]]


def test_errors_name_the_file_and_what_to_do(write_voc, tmp_path: Path) -> None:
    arguments = write_voc({"a": "<annotation><object>", "b": xml((9, 9), [("cat", 0, ("nan", 1, 2, 3))])})
    with pytest.raises(ValueError, match=r"a\.xml is broken XML"):
        VOCDataset(**arguments)
    (tmp_path / "VOC2007" / "list.txt").write_text("b")
    with pytest.raises(ValueError, match=r"b\.xml: object number 0"):
        VOCDataset(**arguments)
    (tmp_path / "VOC2007" / "list.txt").write_text("missing")
    with pytest.raises(FileNotFoundError, match=r"missing\.xml"):
        VOCDataset(**arguments)
    (tmp_path / "VOC2007" / "list.txt").write_text("")
    with pytest.raises(ValueError, match="VOC2007 or VOC2012"):
        VOCDataset(**{**arguments, "img_prefix": "pictures/"})
    with pytest.raises(ValueError, match="XMLDataset needs classes"):
        XMLDataset(**{**arguments, "classes": None})


PERFECT = [
    [np.zeros((0, 5), np.float32), np.array([[10, 20, 30, 40, 0.9]], np.float32)],
    [np.array([[4, 5, 19, 29, 0.8]], np.float32), np.zeros((0, 5), np.float32)],
]


def test_tables_have_the_names_of_the_chosen_classes(write_voc, capsys) -> None:
    dataset = VOCDataset(**{**write_voc(TWO), "classes": ["dog", "cat"]}, test_mode=True)
    assert dataset.evaluate([each[::-1] for each in PERFECT])["mAP"] == 1.0
    table = capsys.readouterr().out
    assert "| dog" in table
    assert "aeroplane" not in table


def test_evaluation_is_by_the_rules_of_the_year(write_voc) -> None:
    dataset = VOCDataset(**write_voc(TWO), test_mode=True)
    assert dataset.year == 2007
    assert dataset.evaluate(PERFECT, iou_thr=[0.5, 0.75], logger="silent") == {"mAP": 1.0, "AP50": 1.0, "AP75": 1.0}
    missed = [[each[0][:0], each[1][:0]] for each in PERFECT]
    assert dataset.evaluate(missed, logger="silent")["mAP"] == 0.0


@pytest.mark.parametrize("separate", [True, False])
def test_both_years_are_evaluated_apart_or_as_one(write_voc, separate: bool) -> None:
    parts = [write_voc({"a": TWO["a"]}, 2007), write_voc({"b": TWO["b"]}, 2012)]
    cfg = {
        "type": "VOCDataset",
        "classes": CLASSES,
        "pipeline": [],
        "test_mode": True,
        "separate_eval": separate,
        **{key: [part[key] for part in parts] for key in ("ann_file", "img_prefix")},
    }
    dataset = build_dataset(cfg)
    assert isinstance(dataset, ConcatDataset)
    scores = dataset.evaluate(PERFECT, logger="silent")
    assert set(scores) == ({"0_mAP", "0_AP50", "1_mAP", "1_AP50"} if separate else {"mAP", "AP50"})
    assert set(scores.values()) == {1.0}
    assert dataset.get_cat2imgs() == {0: [0, 1], 1: [0]}


def test_list_of_dicts_and_repeated_sets_work_as_well(write_voc) -> None:
    cfg = {"type": "VOCDataset", **write_voc(TWO)}
    assert len(build_dataset([cfg, cfg])) == 4
    repeated = build_dataset(
        {"type": "RepeatDataset", "times": 3, "dataset": {**cfg, "ann_file": [cfg["ann_file"]] * 2}}
    )
    assert len(repeated) == 12
    assert repeated.get_cat_ids(11) == [0]
    balanced = build_dataset({"type": "ClassBalancedDataset", "oversample_thr": 0.9, "dataset": cfg})
    assert len(balanced) == 3
