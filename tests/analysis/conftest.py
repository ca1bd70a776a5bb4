"""A small COCO data set that can be spoilt in every way."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from raydet.analysis import Report, scan

WIDTH, HEIGHT = 60, 40


class Spoilt:
    """Three images of 60 x 40 pixels with a cat each; tests change `content` and files, then scan."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        names = range(1, 4)
        self.content = {
            "images": [{"id": i, "file_name": f"{i}.jpg", "width": WIDTH, "height": HEIGHT} for i in names],
            "annotations": [self.object(i, i) for i in names],
            "categories": [{"id": 7, "name": "cat"}, {"id": 9, "name": "dog"}],
        }
        for i in names:
            pixels = np.random.default_rng(i).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
            cv2.imwrite(str(folder / f"{i}.jpg"), pixels)

    @staticmethod
    def object(number, image, box=(10, 10, 20, 20), **others):
        return {"id": number, "image_id": image, "category_id": 7, "bbox": list(box), "area": 400, **others}

    def add(self, **others) -> None:
        """One more object, of image 3."""
        self.content["annotations"].append({**self.object(4, 3), **others})

    def section(self, **options):
        (self.folder / "instances.json").write_text(json.dumps(self.content))
        return {
            "type": "CocoDataset",
            "ann_file": "instances.json",
            "data_root": str(self.folder),
            "img_prefix": "",
            "classes": ["cat", "dog"],
            "pipeline": [{"type": "LoadImageFromFile"}],
            **options,
        }

    def scan(self, **options) -> Report:
        report = Report("spoilt")
        scan(self.section(**options), report)
        return report


@pytest.fixture
def spoilt(tmp_path: Path) -> Spoilt:
    return Spoilt(tmp_path)
