from __future__ import annotations

import json

import numpy as np
import pytest
from pycocotools import mask as rle_tools

from raydet.datasets import CocoDataset

SIZE = 100
BOXES = {1: [(7, [10, 10, 40, 40])], 2: [(7, [0, 0, 20, 20]), (9, [50, 50, 40, 40])], 3: []}


def rle(box):
    x, y, width, height = box
    mask = np.zeros((SIZE, SIZE), dtype=np.uint8, order="F")
    mask[y : y + height, x : x + width] = 1
    encoded = rle_tools.encode(mask)
    return {"size": encoded["size"], "counts": encoded["counts"].decode()}


@pytest.fixture
def dataset(tmp_path):
    """Three images of 100 x 100 pixels with a cat, a cat and a dog, and nothing; category ids 7 and 9."""
    pairs = [(image, category, box) for image, objects in BOXES.items() for category, box in objects]
    content = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": SIZE, "height": SIZE} for i in BOXES],
        "categories": [{"id": 7, "name": "cat"}, {"id": 9, "name": "dog"}],
        "annotations": [
            {
                "id": i,
                "image_id": image,
                "category_id": category,
                "bbox": box,
                "area": box[2] * box[3],
                "iscrowd": 0,
                "segmentation": rle(box),
            }
            for i, (image, category, box) in enumerate(pairs, start=1)
        ],
    }
    (tmp_path / "truth.json").write_text(json.dumps(content))
    return CocoDataset(str(tmp_path / "truth.json"), [], classes=("cat", "dog"), test_mode=True)


def detections(*boxes):
    """`(D, 5)` of x, y, width, height, score."""
    return np.array([[x, y, x + w, y + h, s] for x, y, w, h, s in boxes], dtype=np.float32).reshape(-1, 5)


@pytest.fixture
def perfect():
    return [
        [detections([10, 10, 40, 40, 0.9]), detections()],
        [detections([0, 0, 20, 20, 0.8]), detections([50, 50, 40, 40, 0.7])],
        [detections(), detections()],
    ]


@pytest.fixture
def perfect_masks(perfect):
    masks = [[[rle(BOXES[1][0][1])], []], [[rle(BOXES[2][0][1])], [rle(BOXES[2][1][1])]], [[], []]]
    return list(zip(perfect, masks, strict=True))


@pytest.fixture
def proposals(perfect):
    return [np.concatenate(by_class) for by_class in perfect]
