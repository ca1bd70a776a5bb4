from __future__ import annotations

import pytest

from raydet.datasets import DeepFashionDataset, Objects365V1Dataset, Objects365V2Dataset


@pytest.fixture
def path(coco_content, write_coco):
    for image in coco_content["images"]:
        image["file_name"] = f"images/v1/patch7/{image['file_name']}"
    return write_coco(coco_content)


def test_version_1_numbers_labels_by_category_id(path):
    dataset = Objects365V1Dataset(path, [])
    assert dataset.CLASSES == ("dog", "cat")
    assert dataset.cat2label == {3: 0, 7: 1}
    assert dataset.data_infos[0]["filename"] == "images/v1/patch7/2.png"


def test_version_2_keeps_the_order_of_the_file_and_the_folder_of_the_patch(path):
    dataset = Objects365V2Dataset(path, [])
    assert dataset.CLASSES == ("cat", "dog")
    assert dataset.cat2label == {7: 0, 3: 1}
    assert dataset.data_infos[0]["filename"] == "patch7/2.png"
    assert dataset.coco.imgs[2]["file_name"] == "patch7/2.png"


def test_classes_may_be_chosen(path):
    dataset = Objects365V1Dataset(path, [], classes=["cat"])
    assert dataset.cat2label == {7: 0}
    assert set(dataset.get_ann_info(1)["labels"].tolist()) == {0}


def test_deepfashion_reads_coco_layout(coco_content, write_coco):
    coco_content["categories"] = [{"id": 7, "name": "skirt"}, {"id": 3, "name": "bag"}]
    dataset = DeepFashionDataset(write_coco(coco_content), [])
    assert dataset.cat2label == {7: 0, 3: 1}
    assert len(dataset) == 5
