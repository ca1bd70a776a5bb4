from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from raydet.structures import BitmapMasks, PolygonMasks
from raydet.transforms import (
    AutoAugment,
    BrightnessTransform,
    ColorTransform,
    ContrastTransform,
    EqualizeTransform,
    Rotate,
    Shear,
    Translate,
)

WARPS = {
    "shear": Shear(level=6, prob=1.0),
    "shear down": Shear(level=6, prob=1.0, direction="vertical"),
    "translate": Translate(level=4, prob=1.0, max_translate_offset=20),
    "rotate": Rotate(level=5, prob=1.0),
}


def painted(make_sample: Any) -> dict[str, Any]:
    """A sample whose objects have colours of their own: 100 and 200 on black."""
    sample = make_sample()
    first, second = sample["gt_masks"].masks.astype(bool)
    sample["img"] = np.repeat((first * 100 + second * 200).astype(np.uint8)[..., None], 3, axis=2)
    return sample


@pytest.mark.parametrize("name", WARPS)
@pytest.mark.parametrize("seed", range(4))
def test_warp_moves_pixels_boxes_and_masks_together(make_sample, name: str, seed: int) -> None:
    np.random.seed(seed)
    sample = WARPS[name](painted(make_sample))
    assert len(sample["gt_bboxes"]) == len(sample["gt_masks"]) == len(sample["gt_labels"])
    for box, mask, label in zip(sample["gt_bboxes"], sample["gt_masks"].masks, sample["gt_labels"], strict=True):
        inside = cv2.erode(mask, np.ones((3, 3)), borderType=cv2.BORDER_CONSTANT, borderValue=0).astype(bool)
        assert (np.abs(sample["img"][inside].astype(int) - {3: 100, 1: 200}[label]) <= 1).all()
        ys, xs = np.nonzero(mask)
        assert (xs.min() >= box[0] - 1) & (xs.max() <= box[2] + 1)
        assert (ys.min() >= box[1] - 1) & (ys.max() <= box[3] + 1)
    assert sample["img"].dtype == np.uint8
    assert sample["gt_bboxes"].dtype == np.float32


def test_warp_by_chance_zero_leaves_the_sample(make_sample) -> None:
    for kind in (Shear, Translate, Rotate):
        sample = kind(level=9, prob=0.0)(make_sample())
        assert (sample["img"] == make_sample()["img"]).all()


def test_warp_follows_the_draws_of_2x() -> None:
    np.random.seed(5)
    values = np.random.rand(2)
    np.random.seed(5)
    drawn = Rotate(level=10, prob=1.0, random_negative_prob=0.5).draw({})
    assert drawn == (-30 if values[1] < 0.5 else 30)


def test_warp_fills_images_and_maps_with_their_values(make_sample) -> None:
    warp = Translate(level=10, prob=1.0, max_translate_offset=10, random_negative_prob=0.0, img_fill_val=(7, 8, 9))
    sample = warp(make_sample())
    assert (sample["img"][:, :10] == (7, 8, 9)).all()
    assert (sample["gt_semantic_seg"][:, :10] == 255).all()
    assert (sample["img"][:, 10:] == make_sample()["img"][:, :-10]).all()


def test_translate_takes_objects_away_that_become_small_with_their_ignored_kin(make_sample) -> None:
    ignored = np.array([[0, 0, 12, 12], [40, 5, 55, 20]], np.float32)
    sample = make_sample(gt_bboxes_ignore=ignored, bbox_fields=["gt_bboxes", "gt_bboxes_ignore"])
    warp = Translate(level=10, prob=1.0, max_translate_offset=15, random_negative_prob=1.0, min_size=6)
    moved = warp(sample)
    assert moved["gt_bboxes"].tolist() == [[15, 10, 35, 36]]
    assert moved["gt_labels"].tolist() == [1]
    assert moved["gt_bboxes_ignore"].tolist() == [[25, 5, 40, 20]]


def test_rotate_turns_polygons_around_the_middle_of_the_image(make_sample) -> None:
    bitmap = BitmapMasks(make_sample()["gt_masks"].masks[:1], 40, 60)
    square = [np.array([2.0, 4, 20, 4, 20, 24, 2, 24])]
    np.random.seed(0)
    rotate = Rotate(level=10, prob=1.0, max_rotate_angle=20)
    turned = [
        rotate.apply(make_sample(gt_masks=masks, bbox_fields=[]), 20)["gt_masks"].to_ndarray()[0]
        for masks in (bitmap, PolygonMasks([square], 40, 60))
    ]
    union = np.logical_or(*turned).sum()
    assert np.logical_and(*turned).sum() > 0.85 * union


@pytest.mark.parametrize(
    "make",
    [
        lambda: Shear(level=11),
        lambda: Shear(level=1, direction="diagonal"),
        lambda: Shear(level=1, prob=2),
        lambda: Rotate(level=1, img_fill_val=(1, 2)),
        lambda: Rotate(level=1, img_fill_val=300),
        lambda: Translate(level=1, seg_ignore_label=-1),
        lambda: AutoAugment([]),
        lambda: AutoAugment([[{"type": "Rotate", "level": 1}], []]),
        lambda: ColorTransform(level=-1),
    ],
)
def test_wrong_arguments_raise(make: Any) -> None:
    with pytest.raises(ValueError, match="must"):
        make()


def test_policies_are_drawn_with_equal_chances() -> None:
    augment = AutoAugment([[{"type": "Rotate", "level": 1}]] * 4)
    np.random.seed(0)
    drawn = [augment.draw({}) for _ in range(4000)]
    assert all(900 < drawn.count(policy) < 1100 for policy in range(4))


@pytest.mark.parametrize("kind", [ColorTransform, BrightnessTransform, ContrastTransform])
def test_level_five_leaves_colours(make_sample, kind: Any) -> None:
    sample = kind(level=5, prob=1.0)(make_sample())
    assert np.abs(sample["img"].astype(int) - make_sample()["img"]).max() <= 1
    assert sample["img"].dtype == np.uint8


def test_brightness_and_contrast_scale_values() -> None:
    image = np.full((4, 4, 3), 100, np.uint8)
    image[0] = 20
    bright = BrightnessTransform(level=0, prob=1.0)({"img": image})["img"]
    assert bright[1, 1, 0] == 10
    mean = round(float(image.mean()))
    flat = ContrastTransform(level=0, prob=1.0)({"img": image})["img"]
    assert flat[0, 0, 0] == int(20 * 0.1 + mean * 0.9)


def test_equalize_spreads_a_narrow_histogram() -> None:
    image = np.random.default_rng(0).integers(100, 120, (40, 40, 3), np.uint8)
    spread = EqualizeTransform(prob=1.0)({"img": image})["img"]
    assert spread.min() == 0
    assert spread.max() > 230
    order = np.argsort(image[..., 0], axis=None, kind="stable")
    assert (np.diff(spread[..., 0].ravel()[order].astype(int)) >= 0).all()


def test_equalize_of_floats_raises() -> None:
    with pytest.raises(ValueError, match="uint8"):
        EqualizeTransform(prob=1.0)({"img": np.zeros((4, 4, 3), np.float32)})
