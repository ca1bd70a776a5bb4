from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from raydet.datasets import LVISDataset, LVISV05Dataset, LVISV1Dataset, build_dataset


def write(folder: Path, images: list[dict[str, Any]]) -> str:
    categories = [{"id": i, "name": name, "frequency": "r"} for i, name in ((1, "yak"), (2, "yam"), (5, "yoke"))]
    annotations = [
        {"id": i, "image_id": image["id"], "category_id": k, "bbox": [0, 0, 20, 20], "area": 400, "segmentation": []}
        for i, (image, k) in enumerate([(image, k) for image in images for k in (5, 1)], 1)
    ]
    path = folder / "lvis.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return str(path)


def image(number: int, **more: Any) -> dict[str, Any]:
    return {"id": number, "width": 50, "height": 40, **more}


def test_version_05_drops_the_start_of_the_names_of_2014(tmp_path: Path) -> None:
    images = [image(7, file_name="COCO_val2014_000000000007.jpg"), image(8, file_name="000000000008.jpg")]
    dataset = LVISV05Dataset(write(tmp_path, images), [], img_prefix="x/")
    assert [info["filename"] for info in dataset.data_infos] == ["000000000007.jpg", "000000000008.jpg"]
    assert dataset.get_ann_info(0)["seg_map"] == "000000000007.png"
    assert LVISDataset is LVISV05Dataset


def test_version_1_finds_folders_in_the_url_and_needs_no_file_name(tmp_path: Path) -> None:
    url = "http://images.cocodataset.org/train2017/000000000009.jpg"
    dataset = LVISV1Dataset(write(tmp_path, [image(9, coco_url=url)]), [])
    assert dataset.data_infos[0]["filename"] == "train2017/000000000009.jpg"
    assert dataset.coco.imgs[9]["coco_url"] == url
    with pytest.raises(ValueError, match="image 9 lacks coco_url"):
        LVISV1Dataset(write(tmp_path, [image(9, file_name="9.jpg")]), [])


def test_files_with_nan_are_read_alike(tmp_path: Path) -> None:
    path = Path(write(tmp_path, [image(9, coco_url="http://images.cocodataset.org/val2017/9.jpg")]))
    fast = LVISV1Dataset(str(path), [])
    path.write_text(path.read_text().replace("400", "NaN", 1))  # JSON does not know it: another way to read
    slow = LVISV1Dataset(str(path), [])
    assert list(slow.data_infos) == list(fast.data_infos)
    assert slow.get_ann_info(0)["labels"].tolist() == fast.get_ann_info(0)["labels"].tolist()[1:]


def test_classes_come_from_the_file_unless_some_are_chosen(tmp_path: Path) -> None:
    path = write(tmp_path, [image(8, file_name="8.jpg")])
    everything = LVISV05Dataset(path, [])
    assert everything.CLASSES == ("yak", "yam", "yoke")
    assert everything.cat2label == {1: 0, 2: 1, 5: 2}
    assert everything.get_ann_info(0)["labels"].tolist() == [2, 0]
    assert LVISV05Dataset.CLASSES is None
    some = LVISV05Dataset(path, [], classes=["yoke"])
    assert some.cat2label == {5: 0}
    assert some.get_ann_info(0)["labels"].tolist() == [0]


def test_rare_classes_are_repeated(tmp_path: Path) -> None:
    path = write(tmp_path, [image(i, file_name=f"{i}.jpg") for i in range(4)])
    cfg = {"type": "LVISV05Dataset", "ann_file": path, "pipeline": []}
    assert len(build_dataset({"type": "ClassBalancedDataset", "oversample_thr": 4.0, "dataset": cfg})) == 8
