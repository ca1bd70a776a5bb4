"""Boxes of data sets as the network sees them."""

import json

import numpy as np
import pytest

from raydet.datasets.scaled_boxes import InputSize, pipeline_size, scaled_boxes


@pytest.fixture
def section(tmp_path):
    boxes = {1: [[0, 0, 50, 20], [10, 10, 5, 40]], 2: [[0, 0, 100, 100]]}
    found = [(image, box) for image, each in boxes.items() for box in each]
    content = {
        "images": [
            {"id": 1, "file_name": "a.jpg", "width": 200, "height": 100},
            {"id": 2, "file_name": "b.jpg", "width": 100, "height": 400},
        ],
        "annotations": [
            {"id": i, "image_id": image, "bbox": box, "area": box[2] * box[3], "category_id": 1, "iscrowd": 0}
            for i, (image, box) in enumerate(found)
        ],
        "categories": [{"id": 1, "name": "thing"}],
    }
    file = tmp_path / "boxes.json"
    file.write_text(json.dumps(content))
    return {"type": "CocoDataset", "ann_file": str(file), "img_prefix": "", "classes": ("thing",), "pipeline": []}


def sizes(section, size=None):
    boxes = scaled_boxes(section, size)
    return np.sort(boxes[:, 2:] - boxes[:, :2], axis=0).tolist()


def test_boxes_stay_as_they_are_without_a_resize(section):
    assert sizes(section) == [[5, 20], [50, 40], [100, 100]]


def test_images_are_fitted_into_the_input(section):
    assert sizes(section, InputSize(100, 100)) == [[2.5, 10], [25, 20], [25, 25]]


def test_resize_of_the_pipeline_counts_as_it_works(section):
    kept = [{"type": "Resize", "img_scale": (400, 200), "keep_ratio": True}]
    assert sizes({**section, "pipeline": kept}) == [[10, 40], [100, 80], [100, 100]]
    exact = [{"type": "Resize", "img_scale": (100, 100), "keep_ratio": False}]
    assert sizes({**section, "pipeline": exact}) == [[2.5, 20], [25, 25], [100, 40]]


def test_several_scales_count_as_their_mean_and_wrappers_show_their_boxes_once(section):
    step = {"type": "Resize", "img_scale": [(300, 100), (500, 300)], "keep_ratio": True}
    assert pipeline_size({**section, "pipeline": [step]}) == InputSize(400, 200, "edges")
    wrapped = {"type": "RepeatDataset", "times": 7, "dataset": {**section, "pipeline": [step]}}
    assert sizes(wrapped) == sizes({**section, "pipeline": [step]})
    assert sizes([section, section]) == sorted(sizes(section) * 2)
    ratio = {"type": "Resize", "img_scale": (100, 100), "ratio_range": (0.5, 1.5), "keep_ratio": True}
    assert pipeline_size({**section, "pipeline": [ratio]}) == InputSize(100, 100, "edges")
