from __future__ import annotations

import numpy as np
import pytest

from raydet.datasets import (
    CityscapesDataset,
    CocoDataset,
    DeepFashionDataset,
    LVISV1Dataset,
    Objects365V2Dataset,
    VOCDataset,
    WIDERFaceDataset,
)


@pytest.mark.parametrize(
    ("dataset", "count"),
    [
        (CocoDataset, 80),
        (VOCDataset, 20),
        (CityscapesDataset, 8),
        (WIDERFaceDataset, 1),
        (DeepFashionDataset, 15),
    ],
)
def test_every_class_has_a_name_and_a_colour(dataset, count):
    assert len(set(dataset.CLASSES)) == len(dataset.CLASSES) == count
    palette = np.array(dataset.PALETTE)
    assert palette.shape == (count, 3)
    assert palette.min() >= 0
    assert palette.max() <= 255


def test_twins_of_voc_and_coco_have_the_same_colour():
    coco = dict(zip(CocoDataset.CLASSES, CocoDataset.PALETTE, strict=True))
    voc = dict(zip(VOCDataset.CLASSES, VOCDataset.PALETTE, strict=True))
    assert voc["person"] == coco["person"] == (220, 20, 60)
    assert voc["aeroplane"] == coco["airplane"]


@pytest.mark.parametrize("dataset", [LVISV1Dataset, Objects365V2Dataset])
def test_large_vocabularies_come_from_the_file(dataset):
    assert dataset.CLASSES is None
    assert dataset.PALETTE is None
