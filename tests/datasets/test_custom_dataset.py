from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raydet.datasets import CustomDataset

RECORDS: list[dict[str, Any]] = [
    {"filename": "a.jpg", "width": 60, "height": 40, "ann": {"bboxes": [[1, 2, 20, 30]], "labels": [0]}},
    {"filename": "b.jpg", "width": 20, "height": 40, "ann": {"bboxes": [[1, 2, 20, 30]], "labels": [1]}},
    {"filename": "c.jpg", "width": 40, "height": 60, "ann": {"bboxes": [], "labels": []}},
]


@pytest.fixture
def middle(tmp_path: Path) -> str:
    path = tmp_path / "middle.json"
    path.write_text(json.dumps(RECORDS))
    return str(path)


def test_custom_for_training_leaves_out_small_images(middle: str) -> None:
    dataset = CustomDataset(middle, [], classes=["x", "y"])
    assert [info["filename"] for info in dataset.data_infos] == ["a.jpg", "c.jpg"]
    assert dataset.flag.tolist() == [1, 0]
    assert dataset.get_cat2imgs() == {0: [0], 1: []}


def test_custom_with_lists_gives_float_boxes(middle: str) -> None:
    dataset = CustomDataset(middle, [{"type": "LoadAnnotations"}])
    assert dataset[0]["gt_bboxes"].dtype == np.float32
    assert dataset[1]["gt_bboxes"].shape == (0, 4)


def test_custom_from_a_pickle_of_arrays(tmp_path: Path) -> None:
    records = [{**RECORDS[0], "ann": {"bboxes": np.ones((2, 4), np.float32), "labels": np.array([0, 1])}}]
    path = tmp_path / "middle.pkl"
    path.write_bytes(pickle.dumps(records))
    assert CustomDataset(str(path), []).get_cat_ids(0) == [0, 1]


class Evil:
    def __reduce__(self) -> Any:
        return os.system, ("echo harm > harmed",)


def test_custom_from_a_pickle_that_would_run_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("middle.pkl").write_bytes(pickle.dumps([Evil()]))
    with pytest.raises(ValueError, match="system"):
        CustomDataset("middle.pkl", [])
    assert not Path("harmed").exists()


@pytest.mark.parametrize(
    ("text", "message"), [("{}", "expected a list"), ('[{"filename": "a.jpg"}]', "lacks height, width")]
)
def test_custom_of_another_layout_says_so(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        CustomDataset(str(tmp_path / "a.json"), [])


def test_custom_proposals_are_entered_and_filtered_with_the_images(middle: str, tmp_path: Path) -> None:
    proposals = [np.full((2, 5), i, np.float32) for i in range(3)]
    (tmp_path / "p.pkl").write_bytes(pickle.dumps(proposals))
    dataset = CustomDataset(middle, [{"type": "LoadProposals"}], proposal_file=str(tmp_path / "p.pkl"))
    assert dataset[1]["proposals"].tolist() == [[2] * 4] * 2


def test_custom_proposals_of_another_number_of_images_raise(middle: str, tmp_path: Path) -> None:
    (tmp_path / "p.pkl").write_bytes(pickle.dumps([]))
    with pytest.raises(ValueError, match="0 images"):
        CustomDataset(middle, [], proposal_file=str(tmp_path / "p.pkl"))


def test_classes_come_from_lists_and_files(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("person\ncar\n")
    assert CustomDataset.get_classes(str(tmp_path / "classes.txt")) == ["person", "car"]
    assert CustomDataset.get_classes(("a",)) == ("a",)
    with pytest.raises(ValueError, match="classes"):
        CustomDataset.get_classes(3)  # type: ignore[arg-type]


def test_images_by_class_without_names_raises(middle: str) -> None:
    with pytest.raises(ValueError, match="classes"):
        CustomDataset(middle, []).get_cat2imgs()


def test_a_subclass_with_its_own_records_works() -> None:
    class Mine(CustomDataset):
        CLASSES = ("x",)

        def load_annotations(self, ann_file: str) -> list[dict[str, Any]]:
            ann = {"bboxes": np.array([[1, 1, 9, 9]], np.float32), "labels": np.zeros(1, np.int64)}
            return [{"filename": f"{i}.jpg", "width": 64, "height": 64, "ann": ann} for i in range(int(ann_file))]

    dataset = Mine("3", [{"type": "LoadAnnotations"}])
    assert len(dataset) == 3
    assert dataset[2]["img_info"]["filename"] == "2.jpg"


def test_a_pipeline_that_gives_everything_up_ends_with_an_error(middle: str) -> None:
    with pytest.raises(RuntimeError, match="gave up"):
        CustomDataset(middle, [lambda sample: None])[0]
