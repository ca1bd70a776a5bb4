from __future__ import annotations

import importlib.util
import sys
import types
from typing import Any

import numpy as np
import pytest

from raydet.structures import PolygonMasks
from raydet.transforms import Albu, Corrupt, InstaBoost

FILTERED = {"type": "BboxParams", "format": "pascal_voc", "label_fields": ["gt_labels"], "filter_lost_elements": True}


@pytest.mark.parametrize(
    ("make", "package"),
    [
        (lambda: Albu([]), "albumentations"),
        (lambda: Corrupt("fog"), "imagecorruptions"),
        (InstaBoost, "instaboostfast"),
    ],
)
def test_missing_package_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch, make: Any, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=f"pip install {package}"):
        make()


def fake(monkeypatch: pytest.MonkeyPatch, name: str, **members: Any) -> None:
    module = types.ModuleType(name)
    vars(module).update(members)
    monkeypatch.setitem(sys.modules, name, module)


def test_corrupt_hands_8_bit_pixels_name_and_severity_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def corrupt(image: np.ndarray, corruption_name: str, severity: int) -> np.ndarray:
        assert image.dtype == np.uint8
        return image + severity * len(corruption_name)

    fake(monkeypatch, "imagecorruptions", corrupt=corrupt, get_corruption_names=lambda subset: ["fog", "snow"])
    sample = Corrupt("fog", severity=3)({"img": np.full((2, 2, 3), 5.0, np.float32)})
    assert (sample["img"] == 14).all()
    with pytest.raises(ValueError, match="severity"):
        Corrupt("fog", severity=6)
    with pytest.raises(ValueError, match=r"'fog', 'snow'.*'rain'"):
        Corrupt("rain")


def test_instaboost_changes_the_annotation_and_drops_objects_without_area(monkeypatch: pytest.MonkeyPatch) -> None:
    def get_new_data(objects: list[dict[str, Any]], image: np.ndarray, cfg: Any, background: Any) -> Any:
        assert cfg[2] == (0.8, 1.2)
        assert objects[0]["bbox"] == [1, 2, 3, 5]
        return [{**objects[0], "bbox": [2, 2, 3, 5]}, {**objects[1], "bbox": [0, 0, 0, 4]}], image + 1

    fake(monkeypatch, "instaboostfast", InstaBoostConfig=lambda *options: options, get_new_data=get_new_data)
    annotation = {"bboxes": np.array([[1, 2, 4, 7], [0, 0, 2, 2]]), "labels": np.array([4, 5]), "masks": ["a", "b"]}
    original = dict(annotation)
    sample = InstaBoost(aug_ratio=1.0)({"img": np.zeros((9, 9, 3), np.uint8), "ann_info": annotation})
    assert sample["ann_info"]["bboxes"].tolist() == [[2, 2, 5, 7]]
    assert sample["ann_info"]["labels"].tolist() == [4]
    assert sample["ann_info"]["masks"] == ["a"]
    assert (sample["img"] == 1).all()
    assert annotation == original


def test_instaboost_that_fails_says_what_its_package_works_with(monkeypatch: pytest.MonkeyPatch) -> None:
    def get_new_data(*arguments: Any, **options: Any) -> Any:
        raise ValueError("setting an array element with a sequence")

    fake(monkeypatch, "instaboostfast", InstaBoostConfig=lambda *options: options, get_new_data=get_new_data)
    sample = {"img": np.zeros((9, 9, 3), np.uint8), "filename": "a.jpg"}
    sample["ann_info"] = {"bboxes": np.zeros((0, 4)), "labels": [], "masks": []}
    with pytest.raises(RuntimeError, match=r"a\.jpg.*numpy < 1\.24"):
        InstaBoost(aug_ratio=1.0)(sample)


albumentations = pytest.mark.skipif(
    importlib.util.find_spec("albumentations") is None, reason="albumentations is not installed"
)


@albumentations
def test_albu_moves_image_boxes_and_masks(make_sample) -> None:
    sample = Albu([{"type": "HorizontalFlip", "p": 1.0}], FILTERED, update_pad_shape=True)(make_sample())
    assert (sample["img"] == make_sample()["img"][:, ::-1]).all()
    assert np.allclose(sample["gt_bboxes"], [[40, 4, 58, 24], [10, 10, 30, 36]], atol=1e-4)
    assert sample["gt_masks"].masks[0, 4:24, 40:58].all()
    assert sample["gt_labels"].tolist() == [3, 1]
    assert sample["pad_shape"] == (40, 60, 3)
    assert sample["filename"] == "a.jpg"


@albumentations
def test_albu_takes_labels_and_masks_away_with_their_boxes(make_sample) -> None:
    crop = {"type": "Crop", "x_min": 25, "y_min": 0, "x_max": 60, "y_max": 40}
    sample = Albu([crop], FILTERED)(make_sample())
    assert np.allclose(sample["gt_bboxes"], [[5, 10, 25, 36]], atol=1e-4)
    assert sample["img_shape"] == (40, 35, 3)
    assert sample["gt_labels"].tolist() == [1]
    assert sample["gt_masks"].masks.shape == (1, 40, 35)


@albumentations
@pytest.mark.parametrize("skip", [True, False])
def test_albu_gives_samples_up_that_lose_all_boxes_if_asked(make_sample, skip: bool) -> None:
    crop = {"type": "Crop", "x_min": 53, "y_min": 0, "x_max": 60, "y_max": 3}
    sample = Albu([crop], FILTERED, skip_img_without_anno=skip)(make_sample())
    assert (sample is None) == skip
    if sample is not None:
        assert sample["gt_bboxes"].shape == (0, 4)
        assert len(sample["gt_masks"]) == len(sample["gt_labels"]) == 0


@albumentations
def test_albu_draws_from_the_seed_of_the_sample(make_sample) -> None:
    steps = [{"type": "OneOf", "transforms": [{"type": "RGBShift", "p": 1.0}, {"type": "Blur", "p": 1.0}], "p": 1.0}]
    albu = Albu(steps)
    images = []
    for seed in (1, 1, 2):
        np.random.seed(seed)
        images.append(albu(make_sample())["img"])
    assert (images[0] == images[1]).all()
    assert (images[0] != images[2]).any()


@albumentations
def test_albu_knows_the_older_name_of_jpeg_compression(make_sample) -> None:
    old = {"type": "JpegCompression", "quality_lower": 85, "quality_upper": 95, "p": 1.0}
    assert Albu([old])(make_sample())["img"].shape == (40, 60, 3)


@albumentations
def test_albu_with_an_unknown_transform_or_polygons_raises(make_sample) -> None:
    with pytest.raises(ValueError, match="'Mirror'"):
        Albu([{"type": "Mirror"}])
    with pytest.raises(NotImplementedError, match="poly2mask=True"):
        Albu([])(make_sample(gt_masks=PolygonMasks([], 40, 60)))
