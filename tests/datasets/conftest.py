"""A small data set in COCO layout, made for the tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from raydet.datasets import CocoDataset, log

NORMALIZE = {"type": "Normalize", "mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375], "to_rgb": True}
SIZES = [(60, 40), (40, 60), (64, 48), (50, 50), (48, 64), (80, 40)]
"""Width and height of the images."""


@pytest.fixture(autouse=True)
def _nothing_said_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "_said", set())


@pytest.fixture
def coco_content() -> dict[str, Any]:
    """Six images; image i (from 1) has i - 1 objects of alternating category, the last one is a crowd in image 6."""
    images = [{"id": i, "file_name": f"{i}.png", "width": w, "height": h} for i, (w, h) in enumerate(SIZES, 1)]
    annotations: list[dict[str, Any]] = []
    for image in images:
        for k in range(image["id"] - 1):
            x, y, w, h = 3 + 4 * k, 5 + 2 * k, 12 + k, 10
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image["id"],
                    "category_id": (7, 3)[k % 2],
                    "bbox": [x, y, w, h],
                    "area": w * h,
                    "iscrowd": int(image["id"] == 6 and k == 4),
                    "segmentation": [[x, y, x + w, y, x + w, y + h, x, y + h]],
                }
            )
    categories = [{"id": 7, "name": "cat"}, {"id": 3, "name": "dog"}]
    return {"images": images, "annotations": annotations, "categories": categories}


@pytest.fixture
def write_coco(tmp_path: Path) -> Callable[[dict[str, Any]], str]:
    """Writes an annotation file and returns its path."""

    def write(content: Any) -> str:
        path = tmp_path / "instances.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)

    return write


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """The images of `coco_content`, of random pixels."""
    random = np.random.default_rng(0)
    folder = tmp_path / "images"
    folder.mkdir()
    for i, (w, h) in enumerate(SIZES, 1):
        cv2.imwrite(str(folder / f"{i}.png"), random.integers(0, 255, (h, w, 3), np.uint8))
    return folder


def train_pipeline(masks: bool = False, **pad: Any) -> list[dict[str, Any]]:
    keys = ["img", "gt_bboxes", "gt_labels", *(["gt_masks"] if masks else [])]
    return [
        {"type": "LoadImageFromFile"},
        {"type": "LoadAnnotations", "with_mask": masks},
        {"type": "Resize", "img_scale": [(96, 50), (96, 80)], "keep_ratio": True},
        {"type": "RandomFlip", "flip_ratio": 0.5},
        NORMALIZE,
        {"type": "Pad", **(pad or {"size_divisor": 32})},
        {"type": "DefaultFormatBundle"},
        {"type": "Collect", "keys": keys},
    ]


def augmented_pipeline(flip: bool = False) -> list[dict[str, Any]]:
    steps = [
        {"type": "Resize", "keep_ratio": True},
        {"type": "RandomFlip"},
        NORMALIZE,
        {"type": "Pad", "size_divisor": 32},
        {"type": "ImageToTensor", "keys": ["img"]},
        {"type": "Collect", "keys": ["img"]},
    ]
    augmentation = {"type": "MultiScaleFlipAug", "img_scale": (96, 64), "flip": flip, "transforms": steps}
    return [{"type": "LoadImageFromFile"}, augmentation]


@pytest.fixture
def make_coco(coco_content: dict[str, Any], write_coco: Any, image_folder: Path) -> Callable[..., CocoDataset]:
    """A `CocoDataset` of `coco_content`."""
    path = write_coco(coco_content)

    def make(pipeline: Any = None, **options: Any) -> CocoDataset:
        pipeline = train_pipeline() if pipeline is None else pipeline
        options = {"classes": ("cat", "dog"), "img_prefix": str(image_folder), **options}
        return CocoDataset(path, pipeline, **options)

    return make


@pytest.fixture
def pipelines() -> Any:
    """The usual pipelines: `pipelines.train(...)` and `pipelines.test(...)`."""

    class Pipelines:
        train = staticmethod(train_pipeline)
        test = staticmethod(augmented_pipeline)

    return Pipelines
