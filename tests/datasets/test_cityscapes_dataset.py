from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as rle_tools

from raydet.datasets import CityscapesDataset

NONE = np.zeros((0, 5), np.float32)


@pytest.fixture
def make(coco_content, write_coco):
    coco_content["categories"] = [{"id": 7, "name": "car"}, {"id": 3, "name": "rider"}]
    for image in coco_content["images"]:
        image["segm_file"] = f"town/{image['id']}_gtFine_labelIds.png"
        image["file_name"] = f"town/{image['file_name']}"
    for annotation in coco_content["annotations"]:
        annotation["iscrowd"] = int(annotation["image_id"] == 3 or annotation["iscrowd"])
    path = write_coco(coco_content)
    return lambda **options: CityscapesDataset(path, [], **{"classes": ("car", "rider"), **options})


def test_images_with_crowds_alone_are_empty(make):
    assert make().img_ids == [2, 4, 5, 6]
    assert make(filter_empty_gt=False).img_ids == [1, 2, 3, 4, 5, 6]


def test_semantic_map_is_the_one_that_the_file_names(make):
    assert make().get_ann_info(0)["seg_map"] == "town/2_gtFine_labelIds.png"


def results_of(dataset):
    """Two cars in the first image with scores of the masks, nothing elsewhere."""
    mask = np.zeros((40, 60), np.uint8, order="F")
    mask[5:15, 3:15] = 1
    first = (
        [np.array([[3, 5, 15, 15, 0.9]] * 2, np.float32), NONE],
        ([[rle_tools.encode(mask)] * 2, []], [[0.5, 0.25], []]),
    )
    return [first, *[([NONE, NONE], [[], []])] * (len(dataset) - 1)], mask


def test_results_are_written_as_the_server_takes_them(make, tmp_path: Path):
    dataset = make(test_mode=True)
    results, mask = results_of(dataset)
    files, folder = dataset.format_results(results, txtfile_prefix=str(tmp_path / "out"))
    assert folder is None
    assert [Path(file).name for file in files] == [f"{i}_pred.txt" for i in range(1, 7)]
    assert Path(files[0]).read_text() == "1_0_car.png 26 0.5\n1_1_car.png 26 0.25\n"
    assert Path(files[1]).read_text() == ""
    assert (cv2.imread(str(tmp_path / "out" / "1_0_car.png"), cv2.IMREAD_UNCHANGED) == mask).all()


def test_results_without_masks_or_of_foreign_classes_are_refused(make, tmp_path: Path):
    with pytest.raises(TypeError, match=r"takes \(boxes, masks\)"):
        make(test_mode=True).format_results([[NONE, NONE]] * 6, str(tmp_path))
    with pytest.raises(ValueError, match="5 results for 6 images"):
        make(test_mode=True).format_results([[NONE, NONE]] * 5, str(tmp_path))
    with pytest.raises(ValueError, match=r"no instances of \['dog'\]"):
        make(test_mode=True, classes=("car", "dog")).format_results([([NONE], [[]])] * 6, str(tmp_path))


def test_coco_metrics_work_beside_it(make, tmp_path: Path):
    dataset = make(test_mode=True)
    box = np.array([[3, 5, 15, 15, 0.9]], np.float32)
    results = [[NONE, NONE], [box, NONE], *[[NONE, NONE]] * 4]
    scores = dataset.evaluate(results, metric="bbox", logger="silent", outfile_prefix=str(tmp_path / "found"))
    assert scores["bbox_mAP"] > 0
    assert json.loads((tmp_path / "found.bbox.json").read_text())[0]["category_id"] == 7
