"""Every image and annotation of the small real data sets passes through the usual pipeline."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from raydet.datasets import CocoDataset

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


@pytest.mark.parametrize("name", ["coco_mini", "nuclei", "bccd"])
def test_real_data_set_gives_consistent_samples(name: str) -> None:
    root = DATA / name
    if not root.exists():
        pytest.skip(f"{name} is not at hand")
    steps = [
        {"type": "LoadImageFromFile"},
        {"type": "LoadAnnotations", "with_mask": True, "poly2mask": True},
        {"type": "Resize", "img_scale": (320, 200)},
    ]
    probe = CocoDataset(str(root / "instances_train.json"), [])
    names = [each["name"] for each in probe._table.category_records]
    dataset = CocoDataset(str(root / "instances_train.json"), steps, classes=names, img_prefix=str(root / "images"))
    with_masks = dataset._table.segmentations[0]
    if not with_masks:
        dataset.pipeline.transforms[1].with_mask = False
    for index in np.linspace(0, len(dataset) - 1, 8).astype(int):
        sample = dataset[int(index)]
        height, width = sample["img_shape"][:2]
        boxes = sample["gt_bboxes"]
        assert len(boxes) == len(sample["gt_labels"])
        assert (boxes >= 0).all()
        assert (boxes[:, 2:] <= [width, height]).all()
        assert not with_masks or len(sample["gt_masks"]) == len(boxes)
