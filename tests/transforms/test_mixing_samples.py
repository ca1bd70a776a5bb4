from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from raydet.structures import BitmapMasks, PolygonMasks
from raydet.transforms import CopyPaste, MixUp, Mosaic, RandomAffine, YOLOXHSVRandomAug
from raydet.transforms.mixup import Blend
from raydet.transforms.mosaic import Center
from raydet.transforms.random_affine import Movement


def plain(value: int, height: int = 40, width: int = 60, box: tuple[float, ...] = (10, 10, 30, 20)) -> dict[str, Any]:
    """An image of one colour with one box; the label is the colour."""
    return {
        "img": np.full((height, width, 3), value, np.uint8),
        "img_shape": (height, width, 3),
        "bbox_fields": ["gt_bboxes", "gt_bboxes_ignore"],
        "gt_bboxes": np.array([box], np.float32),
        "gt_bboxes_ignore": np.array([[0, 0, 5, 5]], np.float32),
        "gt_labels": np.array([value]),
    }


def test_mosaic_lays_four_images_around_the_center() -> None:
    sample = {**plain(1), "mix_results": [plain(2), plain(3), plain(4)]}
    mixed = Mosaic(img_scale=(40, 60)).apply(sample, Center(50, 35))
    assert mixed["img_shape"] == mixed["img"].shape == (80, 120, 3)
    assert mixed["img"][[34, 34, 35, 35], [49, 50, 49, 50], 0].tolist() == [1, 2, 3, 4]
    assert mixed["img"][79, 119, 0] == 114
    assert mixed["gt_labels"].tolist() == [1, 2, 3, 4]
    corners = [[-10, -5], [50, -5], [-10, 35], [50, 35]]
    expected = [[max(10 + x, 0), max(10 + y, 0), 30 + x, 20 + y] for x, y in corners]
    assert mixed["gt_bboxes"].tolist() == expected


def test_mosaic_moves_ignored_boxes_as_well() -> None:
    sample = {**plain(1), "mix_results": [plain(2), plain(3), plain(4)]}
    mixed = Mosaic(img_scale=(40, 60)).apply(sample, Center(60, 40))
    assert mixed["gt_bboxes_ignore"].tolist() == [[0, 0, 5, 5], [60, 0, 65, 5], [0, 40, 5, 45], [60, 40, 65, 45]]


@pytest.mark.parametrize(("skip", "labels"), [(True, [1, 2]), (False, [2])])
def test_mosaic_filters_small_boxes_if_asked(skip: bool, labels: list[int]) -> None:
    small, outside = plain(1, box=(10, 10, 13, 13)), plain(9, box=(0, 0, 4, 4))
    sample = {**small, "mix_results": [plain(2), outside, outside]}
    mosaic = Mosaic(img_scale=(40, 60), min_bbox_size=5, skip_filter=skip)
    mixed = mosaic.apply(sample, Center(60, 40))
    assert [label for label in mixed["gt_labels"].tolist() if label != 9] == labels


def test_mosaic_without_its_partners_says_who_brings_them() -> None:
    with pytest.raises(ValueError, match="MultiImageMixDataset"):
        Mosaic()(plain(1))


@pytest.mark.parametrize("transform", [Mosaic(), MixUp(), RandomAffine()])
def test_transforms_of_boxes_refuse_masks(make_sample, transform: Any) -> None:
    sample = make_sample(mix_results=[plain(1)] * getattr(transform, "num_partners", 1))
    with pytest.raises(NotImplementedError, match="with_mask=False"):
        transform(sample)


def test_mixup_gives_the_mean_of_both_images_and_all_boxes() -> None:
    sample = {**plain(100), "mix_results": [plain(51)]}
    mixed = MixUp(img_scale=(40, 60)).apply(sample, Blend(1.0, False, 0, 0))
    assert (mixed["img"] == 75).all()
    assert mixed["img"].dtype == np.uint8
    assert mixed["gt_bboxes"].tolist() == [[10, 10, 30, 20], [10, 10, 30, 20]]
    assert mixed["gt_labels"].tolist() == [100, 51]


def test_mixup_flips_and_moves_the_other_image_with_its_boxes() -> None:
    other = plain(0)
    other["img"][10:20, 10:30] = 200
    sample = {**plain(0), "mix_results": [other]}
    mixed = MixUp(img_scale=(40, 60)).apply(sample, Blend(2.0, True, 30, 10))
    x1, y1, x2, y2 = mixed["gt_bboxes"][1].astype(int)
    assert [x1, y1, x2, y2] == [30, 10, 60, 30]
    assert (mixed["img"][y1 + 1 : y2 - 1, x1 + 1 : x2 - 1] == 100).all()
    assert not mixed["img"][: y1 - 1].any()


def test_mixup_filters_what_is_cut_off_if_asked() -> None:
    sample = {**plain(0), "mix_results": [plain(1)]}
    mixed = MixUp(img_scale=(40, 60), skip_filter=False, min_area_ratio=0.9).apply({**sample}, Blend(2.0, True, 30, 10))
    assert mixed["gt_labels"].tolist() == [0]


def test_mixup_with_a_partner_without_boxes_changes_nothing() -> None:
    empty = {**plain(1), "gt_bboxes": np.zeros((0, 4), np.float32), "gt_labels": np.zeros(0, int)}
    sample = MixUp()({**plain(7), "mix_results": [empty]})
    assert (sample["img"] == 7).all()


def test_mixup_looks_for_a_partner_with_boxes() -> None:
    class Mostly:
        def __len__(self) -> int:
            return 10

        def get_ann_info(self, index: int) -> dict[str, Any]:
            return {"bboxes": np.zeros((int(index == 4), 4))}

    np.random.seed(0)
    assert MixUp(max_iters=500).get_indexes(Mostly()) == [4]


def with_masks(value: int, *boxes: tuple[int, int, int, int]) -> dict[str, Any]:
    masks = np.zeros((len(boxes), 40, 60), np.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes, strict=True):
        mask[y1:y2, x1:x2] = 1
    sample = {**plain(value), "gt_bboxes": np.array(boxes, np.float32), "gt_labels": np.full(len(boxes), value)}
    return {**sample, "gt_masks": BitmapMasks(masks, 40, 60), "mask_fields": ["gt_masks"]}


def test_copy_paste_puts_objects_on_top_and_takes_covered_ones_away() -> None:
    sample = with_masks(1, (0, 0, 20, 20), (30, 5, 50, 35))
    sample["mix_results"] = [with_masks(2, (0, 0, 25, 25), (40, 5, 60, 35))]
    mixed = CopyPaste(selected=False, bbox_occluded_thr=5, mask_occluded_thr=250)(sample)
    assert mixed["gt_labels"].tolist() == [1, 2, 2]
    assert mixed["gt_bboxes"].tolist() == [[30, 5, 40, 35], [0, 0, 25, 25], [40, 5, 60, 35]]
    assert (mixed["img"][:25, :25] == 2).all()
    assert (mixed["img"][5:35, 30:40] == 1).all()
    assert mixed["gt_masks"].masks.sum(axis=0).max() == 1
    assert mixed["img"].dtype == np.uint8


def test_copy_paste_accepts_polygons() -> None:
    square = [[np.array([0.0, 0, 10, 0, 10, 10, 0, 10])]]
    sample = {**with_masks(1, (0, 0, 10, 10)), "gt_masks": PolygonMasks(square, 40, 60)}
    sample["mix_results"] = [with_masks(2, (20, 0, 30, 10))]
    mixed = CopyPaste(selected=False)(sample)
    assert mixed["gt_masks"].masks.sum(axis=(1, 2)).tolist() == [100, 100]


def test_copy_paste_draws_fewer_than_the_largest_number() -> None:
    partner = with_masks(2, *[(x, 0, x + 4, 4) for x in range(0, 50, 5)])
    sample = {**with_masks(1, (0, 20, 20, 40)), "mix_results": [partner]}
    np.random.seed(0)
    counts = {len(CopyPaste(max_num_pasted=4).draw(sample)) for _ in range(60)}
    assert counts == {0, 1, 2, 3}


@pytest.mark.parametrize(("partner", "message"), [(plain(2), "with_mask=True"), (plain(2, height=50), "one size")])
def test_copy_paste_of_what_does_not_fit_raises(partner: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CopyPaste(selected=False)({**with_masks(1, (0, 0, 20, 20)), "mix_results": [partner]})


def test_affine_matrix_turns_scales_shears_and_moves_in_the_order_of_2x() -> None:
    affine = RandomAffine(border=(-5, 3))
    np.random.seed(3)
    movement = affine.draw(plain(1))
    np.random.seed(3)
    angle, scale = np.radians(np.random.uniform(-10, 10)), np.random.uniform(0.5, 1.5)
    shear_x, shear_y = (np.tan(np.radians(np.random.uniform(-2, 2))) for _ in range(2))
    move = np.random.uniform(-0.1, 0.1) * 66, np.random.uniform(-0.1, 0.1) * 30
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = np.array([[1, shear_x], [shear_y, 1]]) @ turn * scale
    assert movement.size == (30, 66)
    assert np.allclose(movement.matrix, np.column_stack([linear, move]), atol=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_affine_keeps_objects_inside_their_boxes(seed: int) -> None:
    np.random.seed(seed)
    sample = plain(0, 80, 90, (20, 25, 60, 50))
    sample["img"][25:50, 20:60] = 250
    moved = RandomAffine(border_val=(0, 0, 0), scaling_ratio_range=(0.8, 1.2))(sample)
    ys, xs = np.nonzero(moved["img"][..., 0] > 200)
    x1, y1, x2, y2 = moved["gt_bboxes"][0]
    assert abs(xs.min() - x1) < 2.5
    assert abs(ys.min() - y1) < 2.5
    assert abs(xs.max() - x2) < 2.5
    assert abs(ys.max() - y2) < 2.5


def test_affine_is_the_perspective_warp_of_2x() -> None:
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(0, 255, (80, 90, 3), np.uint8), (5, 5), 0)
    np.random.seed(1)
    movement = RandomAffine().draw({"img": image})
    whole = np.vstack([movement.matrix, [0, 0, 1]])
    expected = cv2.warpPerspective(image, whole, movement.size[::-1], borderValue=(114, 114, 114))
    moved = RandomAffine().apply({"img": image}, movement)["img"]
    assert np.mean(np.abs(moved.astype(int) - expected) > 3) < 0.01


def test_affine_drops_boxes_outside_and_unrecognisable_ones() -> None:
    matrix = np.array([[1, 0, 50], [0, 1, 0]], np.float32)
    sample = {**plain(1), "gt_bboxes": np.array([[5, 5, 25, 25], [20, 5, 40, 25]], np.float32)}
    sample["gt_labels"] = np.array([1, 2])
    for skip, labels in ((True, [1]), (False, [])):
        affine = RandomAffine(skip_filter=skip, min_area_ratio=0.5)
        moved = affine.apply({**sample}, Movement(matrix, (40, 60), 1.0))
        assert moved["gt_labels"].tolist() == labels
        assert moved["gt_bboxes"].dtype == np.float32


def test_hsv_shift_wraps_the_hue_and_cuts_the_rest() -> None:
    hsv = np.array([[[179, 100, 250], [3, 250, 5]]], np.uint8)
    image = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)
    shifted = YOLOXHSVRandomAug().apply({"img": image}, np.array([4, 20, 20], np.int16))["img"]
    expected = cv2.cvtColor(np.array([[[3, 120, 255], [7, 255, 25]]], np.uint8), cv2.COLOR_HSV2BGR)
    assert np.abs(shifted.astype(int) - expected).max() <= 4


def test_hsv_shift_of_floats_raises() -> None:
    with pytest.raises(ValueError, match="uint8"):
        YOLOXHSVRandomAug()({"img": np.zeros((4, 4, 3), np.float32)})
