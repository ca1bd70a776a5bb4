from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from raydet.datasets import CocoDataset, build_dataset
from raydet.visualization import draw_stages, stage_files

STEPS = [
    {"type": "LoadImageFromFile"},
    {"type": "LoadAnnotations", "with_mask": True},
    {"type": "Resize", "img_scale": (120, 80)},
    {"type": "RandomFlip", "flip_ratio": 0.0},
    {"type": "Normalize", "mean": [100, 110, 120], "std": [10, 20, 30], "to_rgb": True},
    {"type": "Pad", "size_divisor": 32},
    {"type": "DefaultFormatBundle"},
    {"type": "Collect", "keys": ["img", "gt_bboxes", "gt_labels", "gt_masks"]},
]


@pytest.fixture
def section(tmp_path: Path) -> dict:
    """Two blue images of 60 x 40 pixels with a square of 20 pixels, and a crowd in the second one."""
    images = [{"id": i, "file_name": f"{i}.png", "width": 60, "height": 40} for i in (1, 2)]
    square = [[10, 10, 30, 10, 30, 30, 10, 30]]
    objects = [(1, 1, [10, 10, 20, 20], 0), (2, 2, [10, 10, 20, 20], 0), (3, 2, [40, 5, 10, 10], 1)]
    annotations = [
        {"id": i, "image_id": image, "category_id": 1, "bbox": box, "area": 400, "iscrowd": crowd}
        | {"segmentation": square}
        for i, image, box, crowd in objects
    ]
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "cat"}]}
    (tmp_path / "instances.json").write_text(json.dumps(content))
    for image in images:
        cv2.imwrite(str(tmp_path / image["file_name"]), np.full((40, 60, 3), (200, 50, 30), np.uint8))
    return {
        "type": "CocoDataset",
        "ann_file": str(tmp_path / "instances.json"),
        "img_prefix": str(tmp_path),
        "classes": ["cat"],
        "pipeline": STEPS,
    }


def test_every_step_is_drawn_once_in_order(section) -> None:
    dataset = build_dataset(section)
    before = list(dataset.pipeline.transforms)
    stages = draw_stages(dataset, 0)
    assert [(each.number, each.name) for each in stages] == list(enumerate((step["type"] for step in STEPS), 1))
    assert [each.pictures[0].shape[:2] for each in stages] == [(40, 60)] * 2 + [(80, 120)] * 3 + [(96, 128)] * 3
    assert dataset.pipeline.transforms == before


def test_normalised_images_are_drawn_in_their_own_colours(section) -> None:
    corners = [each.pictures[0][-20, 5] for each in draw_stages(build_dataset(section), 0)][:5]
    np.testing.assert_allclose(corners, [[200, 50, 30]] * 5, atol=1)


def test_objects_are_drawn_from_the_step_that_loads_them(section) -> None:
    loaded, annotated = (each.pictures[0] for each in draw_stages(build_dataset(section), 1)[:2])
    assert (loaded == [200, 50, 30]).all()
    assert (annotated[20, 20] != [200, 50, 30]).any()  # inside the mask
    np.testing.assert_allclose(annotated[10, 40], [128] * 3, atol=10)  # the edge of the crowd is grey


def test_one_step_or_the_last_one_alone(section) -> None:
    dataset = build_dataset({"type": "RepeatDataset", "times": 2, "dataset": section})
    assert [each.name for each in draw_stages(dataset, 3, only=3)] == ["Resize"]
    assert [each.name for each in draw_stages(dataset, 3, only=-1)] == ["Collect"]
    with pytest.raises(ValueError, match="steps 1 to 8"):
        draw_stages(dataset, 0, only=9)


def test_mixed_samples_show_the_first_one_and_the_mixture(section) -> None:
    loading = {**section, "pipeline": [{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations"}]}
    mixture = [{"type": "Mosaic", "img_scale": (60, 60)}, {"type": "RandomFlip", "flip_ratio": 0.5}]
    stages = draw_stages(build_dataset({"type": "MultiImageMixDataset", "dataset": loading, "pipeline": mixture}), 0)
    assert [each.name for each in stages] == ["LoadImageFromFile", "LoadAnnotations", "Mosaic", "RandomFlip"]
    assert stages[2].pictures[0].shape == (120, 120, 3)


def test_a_sample_that_is_given_up_leaves_no_steps_behind(section) -> None:
    given_up = []

    def fickle(sample):
        if not given_up:
            return given_up.append(sample)
        return sample

    dataset = CocoDataset(section["ann_file"], [*STEPS[:2], fickle], classes=["cat"], img_prefix=section["img_prefix"])
    stages = draw_stages(dataset, 0)
    assert [each.number for each in stages] == [1, 2, 3]


def test_versions_of_test_time_augmentation_are_pictures_of_their_own(section) -> None:
    steps = [{"type": "RandomFlip"}, {"type": "ImageToTensor", "keys": ["img"]}, {"type": "Collect", "keys": ["img"]}]
    augmented = {
        "type": "MultiScaleFlipAug",
        "img_scale": [(60, 40), (120, 80)],
        "flip": True,
        "transforms": [{"type": "Resize", "keep_ratio": True}, *STEPS[4:5], *steps],
    }
    dataset = build_dataset({**section, "pipeline": [STEPS[0], augmented], "test_mode": True})
    last = draw_stages(dataset, 0, only=-1)[0]
    assert [each.shape[:2] for each in last.pictures] == [(40, 60)] * 2 + [(80, 120)] * 2
    np.testing.assert_allclose(last.pictures[3][0, 0], [200, 50, 30], atol=1)
    names = [name for name, _ in stage_files(last, "0000")]
    assert names == [f"0000_02_MultiScaleFlipAug_{i}.png" for i in (1, 2, 3, 4)]
