from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from raydet.structures import rgb_from_ids
from raydet.transforms import (
    LoadImageFromWebcam,
    LoadMultiChannelImageFromFiles,
    LoadPanopticAnnotations,
    SegRescale,
)


def test_webcam_image_is_taken_from_the_sample() -> None:
    frame = np.full((8, 6, 3), 5, np.uint8)
    sample = LoadImageFromWebcam(to_float32=True)({"img": frame})
    assert sample["img"].dtype == np.float32
    assert sample["img_shape"] == sample["ori_shape"] == (8, 6, 3)
    assert sample["filename"] is None


def test_channels_come_from_one_file_each(tmp_path: Path) -> None:
    for name, value in (("a.png", 3), ("b.png", 9)):
        cv2.imwrite(str(tmp_path / name), np.full((8, 6), value, np.uint8))
    record = {"img_info": {"filename": ["a.png", "b.png"]}, "img_prefix": str(tmp_path)}
    sample = LoadMultiChannelImageFromFiles()(record)
    assert sample["img"].shape == sample["pad_shape"] == (8, 6, 2)
    assert sample["img"][0, 0].tolist() == [3, 9]
    assert sample["img_norm_cfg"]["mean"].tolist() == [0, 0]


def test_channels_of_different_sizes_raise(tmp_path: Path) -> None:
    for name, height in (("a.png", 4), ("b.png", 5)):
        cv2.imwrite(str(tmp_path / name), np.zeros((height, 6), np.uint8))
    record = {"img_info": {"filename": ["a.png", "b.png"]}, "img_prefix": str(tmp_path)}
    with pytest.raises(ValueError, match=r"one size.*b\.png"):
        LoadMultiChannelImageFromFiles()(record)


def test_panoptic_annotations_give_masks_of_things_and_a_map_of_all(tmp_path: Path) -> None:
    ids = np.zeros((6, 8), np.int64)
    ids[:2], ids[2:4, :3] = 70000, 300
    cv2.imwrite(str(tmp_path / "p.png"), rgb_from_ids(ids)[..., ::-1])
    segments = [
        {"id": 70000, "category": 4, "is_thing": False},
        {"id": 300, "category": 1, "is_thing": True},
    ]
    info = {"bboxes": np.array([[0, 2, 3, 4]], np.float32), "labels": np.array([1]), "masks": segments}
    sample = LoadPanopticAnnotations()(
        {
            "ann_info": {**info, "seg_map": "p.png"},
            "seg_prefix": str(tmp_path),
            **{f"{kind}_fields": [] for kind in ("bbox", "mask", "seg")},
        }
    )
    assert sample["gt_masks"].masks.sum() == 6
    assert sample["gt_semantic_seg"][:3, 0].tolist() == [4, 4, 1]
    assert sample["gt_semantic_seg"][5, 5] == 255
    assert sample["seg_fields"] == ["gt_semantic_seg"]


def test_semantic_maps_alone_are_rescaled(make_sample) -> None:
    sample = SegRescale(scale_factor=0.25)(make_sample())
    assert sample["gt_semantic_seg"].shape == (10, 15)
    assert sample["img"].shape == (40, 60, 3)
    assert set(np.unique(sample["gt_semantic_seg"])) <= {0, 1}
