"""Transforms that place an image in a window or on a canvas: every drawn one must move all parts of a sample alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raydet.structures import BitmapMasks, PolygonMasks
from raydet.transforms import CutOut, Expand, MinIoURandomCrop, RandomCenterCropPad, RandomShift
from raydet.transforms.center_crop import View, margin
from raydet.transforms.crop import Window
from raydet.transforms.expand import Canvas
from raydet.transforms.shift import Offset

MEAN = {"mean": [1.0, 2.0, 3.0], "std": [1.0, 1.0, 1.0]}


def test_expand_surrounds_the_image_by_the_mean(make_sample) -> None:
    sample = Expand(mean=(1, 2, 3), seg_ignore_label=255).apply(make_sample(), Canvas(50, 90, 4, 12))
    assert sample["img_shape"] == (50, 90, 3)
    assert sample["img"][0, 0].tolist() == [3, 2, 1]
    assert (sample["img"][4:44, 12:72] == make_sample()["img"]).all()
    assert sample["gt_bboxes"][0].tolist() == [14, 8, 32, 28]
    assert sample["gt_masks"].masks[0, 8:28, 14:32].all()
    assert sample["gt_semantic_seg"][0, 0] == 255


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), width=st.integers(1, 50), height=st.integers(1, 50))
def test_expand_never_draws_a_place_outside(seed: int, width: int, height: int) -> None:
    np.random.seed(seed)
    canvas = Expand(ratio_range=(1, 4), prob=1.0).draw({"img": np.zeros((height, width, 3), np.uint8)})
    assert canvas.top + height <= canvas.height <= 4 * height
    assert canvas.left + width <= canvas.width <= 4 * width


def test_expand_of_a_map_without_a_label_raises(make_sample) -> None:
    with pytest.raises(ValueError, match="seg_ignore_label"):
        Expand(prob=1.0)(make_sample())


def test_shift_moves_all_parts(make_sample) -> None:
    sample = RandomShift().apply(make_sample(), Offset(-5, 8))
    assert (sample["img"][8:, :-5] == make_sample()["img"][:-8, 5:]).all()
    assert not sample["img"][:8].any()
    assert sample["gt_bboxes"].tolist() == [[0, 12, 15, 32], [25, 18, 45, 40]]
    assert sample["gt_masks"].masks[0, 12:32, :15].all()
    assert sample["gt_masks"].masks[0].sum() == 20 * 15
    assert (sample["gt_semantic_seg"][:8] == 255).all()


def test_shift_of_polygons_keeps_them_at_their_boxes(make_sample) -> None:
    square = [np.array([30.0, 10, 50, 10, 50, 36, 30, 36])]
    sample = make_sample(gt_masks=PolygonMasks([square, square], 40, 60), bbox_fields=[])
    shifted = RandomShift().apply(sample, Offset(3, -4))
    assert shifted["gt_masks"].get_bboxes()[0].tolist() == [33, 6, 53, 32]


def test_shift_that_would_lose_all_objects_does_not_happen(make_sample) -> None:
    sample = RandomShift().apply(make_sample(), Offset(59, 0))
    assert (sample["img"] == make_sample()["img"]).all()
    assert len(sample["gt_bboxes"]) == 2


def test_cutout_covers_rectangles_and_leaves_the_original(make_sample) -> None:
    original = make_sample()
    sample = CutOut(2, cutout_shape=(4, 3), fill_in=(9, 8, 7)).apply(
        dict(original), [Window(2, 5, 3, 4), Window(38, 58, 3, 4)]
    )
    assert (sample["img"][2:5, 5:9] == (9, 8, 7)).all()
    assert (sample["img"][38:, 58:] == (9, 8, 7)).all()
    assert (original["img"] == make_sample()["img"]).all()


def test_cutout_draws_between_least_and_most_holes_of_given_sizes(make_sample) -> None:
    cutout = CutOut((1, 3), cutout_ratio=[(0.1, 0.2), (0.5, 0.5)])
    np.random.seed(1)
    draws = [cutout.draw(make_sample()) for _ in range(50)]
    assert {len(holes) for holes in draws} == {1, 2, 3}
    assert {(hole.width, hole.height) for holes in draws for hole in holes} == {(6, 8), (30, 20)}


def test_crop_with_least_overlap_keeps_it(make_sample) -> None:
    crop = MinIoURandomCrop(min_ious=(0.3,))
    for seed in range(30):
        np.random.seed(seed)
        sample = make_sample()
        window = crop.draw(sample)
        if window is None:
            continue
        cropped = crop.apply(sample, window)
        assert cropped["img"].shape == cropped["img_shape"] == (window.height, window.width, 3)
        assert 0.5 <= window.height / window.width <= 2.1
        assert len(cropped["gt_bboxes"]) == len(cropped["gt_masks"]) == len(cropped["gt_labels"]) >= 1
        assert cropped["gt_masks"].masks.shape[1:] == cropped["gt_semantic_seg"].shape == cropped["img_shape"][:2]


@pytest.mark.parametrize(("clip", "box"), [(True, [0, 0, 10, 12]), (False, [-8, -6, 10, 14])])
def test_crop_by_center_clips_boxes_if_asked(make_sample, clip: bool, box: list[int]) -> None:
    crop = MinIoURandomCrop(bbox_clip_border=clip)
    cropped = crop.apply(make_sample(), Window(top=10, left=10, height=12, width=18))
    assert cropped["gt_bboxes"].tolist() == [box]
    assert cropped["gt_labels"].tolist() == [3]


def test_crop_of_an_image_without_objects_is_any_window(make_sample) -> None:
    empty = make_sample(gt_bboxes=np.zeros((0, 4), np.float32), gt_labels=np.zeros(0, int), mask_fields=[])
    empty["gt_masks"] = BitmapMasks([], 40, 60)
    np.random.seed(2)
    sizes = {MinIoURandomCrop()({**empty})["img_shape"] for _ in range(10)}
    assert len(sizes) > 3


def float_sample(make_sample: Any) -> dict[str, Any]:
    sample = make_sample(seg_fields=[], mask_fields=[])
    del sample["gt_masks"], sample["gt_semantic_seg"]
    return {**sample, "img": sample["img"].astype(np.float32)}


def test_center_crop_shows_the_image_around_the_center(make_sample) -> None:
    crop = RandomCenterCropPad((50, 40), test_pad_mode=None, to_rgb=True, **MEAN)
    view = View.around((10, 50), (50, 40))
    sample = crop.apply(float_sample(make_sample), view)
    assert sample["img_shape"] == sample["pad_shape"] == (50, 40, 3)
    assert (sample["img"][25, 20] == make_sample()["img"][10, 50]).all()
    assert sample["img"][0, 0].tolist() == [3, 2, 1]
    assert sample["gt_bboxes"].tolist() == [[0, 25, 20, 50]]
    assert sample["gt_labels"].tolist() == [1]


def test_center_crop_always_shows_an_object(make_sample) -> None:
    crop = RandomCenterCropPad((30, 30), ratios=(0.6, 1.0), border=8, test_pad_mode=None, to_rgb=False, **MEAN)
    for seed in range(20):
        np.random.seed(seed)
        sample = crop(float_sample(make_sample))
        assert len(sample["gt_bboxes"]) == len(sample["gt_labels"]) >= 1
        assert sample["img"].shape[0] in (18, 30)


def test_center_crop_that_can_show_no_object_gives_the_sample_up(make_sample) -> None:
    far = np.array([[0, 0, 1, 1]], np.float32)
    crop = RandomCenterCropPad((4, 4), border=18, test_pad_mode=None, to_rgb=False, **MEAN)
    sample = {**float_sample(make_sample), "gt_bboxes": far, "gt_labels": np.array([0])}
    assert crop(sample) is None


@pytest.mark.parametrize(
    ("mode", "more", "shape"), [(("logical_or", 31), 1, (64, 64)), (("size_divisor", 25), 0, (50, 75))]
)
def test_center_pad_for_testing(make_sample, mode: Any, more: int, shape: tuple[int, int]) -> None:
    options = {"ratios": None, "border": None, "test_mode": True, "test_pad_mode": mode, "test_pad_add_pix": more}
    sample = RandomCenterCropPad(to_rgb=False, **options, **MEAN)(float_sample(make_sample))
    assert sample["pad_shape"][:2] == shape
    assert sample["img_shape"] == (40, 60, 3)
    top, bottom, left, right = sample["border"].astype(int)
    assert (sample["img"][top:bottom, left:right] == make_sample()["img"]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crop_size": (4, 4), "test_pad_mode": None}, "mean, std and to_rgb"),
        ({"test_pad_mode": None, "to_rgb": True, **MEAN}, "crop_size=None"),
        ({"test_mode": True, "to_rgb": True, **MEAN}, "ratios="),
        ({"crop_size": (0, 4), "test_pad_mode": None, "to_rgb": True, **MEAN}, "positive"),
    ],
)
def test_center_crop_with_wrong_arguments_raises(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RandomCenterCropPad(**options)


def test_center_crop_of_8_bit_images_says_what_to_set(make_sample) -> None:
    crop = RandomCenterCropPad((4, 4), test_pad_mode=None, to_rgb=False, **MEAN)
    with pytest.raises(ValueError, match="to_float32=True"):
        crop(make_sample())


@pytest.mark.parametrize(
    ("border", "size", "expected"), [(128, 600, 128), (128, 256, 64), (128, 200, 64), (128, 100, 32), (128, 64, 16)]
)
def test_margin_of_small_images_is_halved(border: int, size: int, expected: int) -> None:
    assert margin(border, size) == expected
    assert size > 2 * expected
