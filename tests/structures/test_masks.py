"""Bitmaps and polygons do the same things."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from raydet.structures import BitmapMasks, Masks, PolygonMasks

HEIGHT, WIDTH = 8, 12


def polygon(x1: float, y1: float, x2: float, y2: float) -> np.ndarray:
    return np.array([x1, y1, x2, y1, x2, y2, x1, y2], dtype=np.float32)


def polygons() -> PolygonMasks:
    return PolygonMasks([[polygon(1, 1, 5, 3)], [polygon(4, 2, 8, 8), polygon(0, 0, 2, 2)]], HEIGHT, WIDTH)


def bitmaps() -> BitmapMasks:
    return polygons().to_bitmap()


KINDS = pytest.mark.parametrize("masks", [pytest.param(bitmaps(), id="bitmap"), pytest.param(polygons(), id="polygon")])


@KINDS
@pytest.mark.parametrize(
    ("index", "expected"),
    [(1, [1]), (slice(0, 1), [0]), (np.array([1, 0]), [1, 0]), ([], []), (torch.tensor([1]), [1])],
)
def test_indexing_returns_masks_of_the_chosen(masks: Masks, index, expected):
    chosen = masks[index]
    assert type(chosen) is type(masks)
    np.testing.assert_array_equal(chosen.to_ndarray(), masks.to_ndarray()[expected])


@KINDS
def test_areas_and_boxes_are_those_of_the_shapes(masks: Masks):
    assert masks.areas.tolist() == [8, 28]
    assert masks.get_bboxes().tolist() == [[1, 1, 5, 3], [0, 0, 8, 8]]


@KINDS
@pytest.mark.parametrize(("direction", "axes"), [("horizontal", (2,)), ("vertical", (1,)), ("diagonal", (1, 2))])
def test_flip_mirrors_the_bitmap(masks: Masks, direction, axes):
    np.testing.assert_array_equal(masks.flip(direction).to_ndarray(), np.flip(masks.to_ndarray(), axes))


@KINDS
@pytest.mark.parametrize("change", [lambda m: m.flip("sideways"), lambda m: m.translate((8, 12), 1, "around")])
def test_unknown_direction_raises(masks: Masks, change):
    with pytest.raises(ValueError, match="horizontal"):
        change(masks)


@KINDS
def test_crop_keeps_the_window_and_resets_the_canvas(masks: Masks):
    cropped = masks.crop(np.array([2, 1, 9, 6]))
    assert (cropped.height, cropped.width) == (5, 7)
    np.testing.assert_array_equal(cropped.to_ndarray(), masks.to_ndarray()[:, 1:6, 2:9])


@KINDS
def test_crop_by_several_boxes_raises(masks: Masks):
    with pytest.raises(ValueError, match="crop window"):
        masks.crop(np.zeros((2, 4)))


@KINDS
def test_pad_adds_empty_space_right_and_below(masks: Masks):
    padded = masks.pad((10, 20)).to_ndarray()
    assert padded.shape == (2, 10, 20)
    np.testing.assert_array_equal(padded[:, :HEIGHT, :WIDTH], masks.to_ndarray())
    assert padded.sum() == masks.to_ndarray().sum()


@KINDS
def test_expand_places_the_canvas_inside_a_larger_one(masks: Masks):
    expanded = masks.expand(20, 30, 3, 4)
    np.testing.assert_array_equal(expanded.to_ndarray()[:, 3 : 3 + HEIGHT, 4 : 4 + WIDTH], masks.to_ndarray())
    assert expanded.to_ndarray().sum() == masks.to_ndarray().sum()


@KINDS
def test_resize_by_two_doubles_boxes(masks: Masks):
    resized = masks.resize((2 * HEIGHT, 2 * WIDTH))
    np.testing.assert_array_equal(resized.get_bboxes(), 2 * masks.get_bboxes())


@KINDS
@pytest.mark.parametrize(("scale", "size"), [(0.5, (4, 6)), ((24, 24), (16, 24)), ((24, 8), (8, 12)), (1.3, (10, 16))])
def test_rescale_keeps_the_aspect_ratio(masks: Masks, scale, size):
    rescaled = masks.rescale(scale)
    assert (rescaled.height, rescaled.width) == size


@KINDS
def test_rescale_by_zero_raises(masks: Masks):
    with pytest.raises(ValueError, match="positive"):
        masks.rescale(0)


@KINDS
@pytest.mark.parametrize(("direction", "shift"), [("horizontal", (2, 0)), ("vertical", (0, 2))])
def test_translate_moves_the_boxes(masks: Masks, direction, shift):
    moved = masks.translate((HEIGHT, WIDTH), 2, direction)
    expected = np.clip(masks.get_bboxes() + np.tile(shift, 2), 0, [WIDTH, HEIGHT, WIDTH, HEIGHT])
    np.testing.assert_array_equal(moved.get_bboxes(), expected)


@KINDS
def test_rotate_by_a_half_turn_equals_a_diagonal_flip(masks: Masks):
    center = ((WIDTH - 1) / 2, (HEIGHT - 1) / 2) if isinstance(masks, BitmapMasks) else (WIDTH / 2, HEIGHT / 2)
    turned = masks.rotate((HEIGHT, WIDTH), 180, center)
    np.testing.assert_array_equal(turned.to_ndarray(), masks.flip("diagonal").to_ndarray())


@KINDS
def test_shear_moves_rows_in_proportion(masks: Masks):
    sheared = masks[0].shear((HEIGHT, WIDTH), 1.0)
    assert sheared.get_bboxes()[0, 1::2].tolist() == [1, 3]
    assert sheared.get_bboxes()[0, 0] == 2


@KINDS
def test_crop_and_resize_fills_the_grid_where_the_box_is_the_mask(masks: Masks):
    cut = masks.crop_and_resize(np.array([[1, 1, 5, 3], [1.0, 1, 5, 3]], dtype=np.float32), (4, 4), np.array([0, 1]))
    assert cut.to_ndarray()[0].all()
    assert not cut.to_ndarray()[1].all()


@KINDS
@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.resize((4, 6)),
        lambda m: m.rescale(0.5),
        lambda m: m.crop(np.array([0, 0, 6, 4])),
        lambda m: m.flip().resize((4, 6)),
        lambda m: m.translate((4, 6), 1),
        lambda m: m.crop_and_resize(np.zeros((0, 4)), (4, 6), np.zeros(0)),
        lambda m: m.crop(np.array([0, 0, 6, 4])).pad((4, 6)),
    ],
)
def test_operations_without_masks_keep_the_new_size(masks: Masks, change):
    empty = change(masks[[]])
    assert (len(empty), empty.height, empty.width) == (0, 4, 6)
    assert empty.to_ndarray().shape == (0, 4, 6)
    assert empty.get_bboxes().shape == (0, 4)


@KINDS
def test_cat_joins_masks_of_one_canvas(masks: Masks):
    joined = type(masks).cat([masks, masks[[1]]])
    np.testing.assert_array_equal(joined.to_ndarray(), masks.to_ndarray()[[0, 1, 1]])
    with pytest.raises(ValueError, match="canvas"):
        type(masks).cat([masks, masks.pad((20, 20))])


@pytest.mark.parametrize("kind", [BitmapMasks, PolygonMasks])
def test_random_masks_repeat_with_their_seed(kind):
    first, second = (kind.random(3, 16, 24, rng=7) for _ in range(2))
    assert (len(first), first.height, first.width) == (3, 16, 24)
    np.testing.assert_array_equal(first.to_ndarray(), second.to_ndarray())
    assert first.to_ndarray().any()


@KINDS
def test_to_tensor_has_the_dtype_asked_for(masks: Masks):
    tensor = masks.to_tensor(torch.uint8, "cpu")
    assert tensor.dtype == torch.uint8
    assert tensor.shape == (2, HEIGHT, WIDTH)


@KINDS
def test_iteration_yields_one_mask_each(masks: Masks):
    assert len(list(masks)) == len(masks) == 2


def test_bitmaps_of_another_size_than_the_canvas_raise():
    with pytest.raises(ValueError, match="8 x 12"):
        BitmapMasks(np.zeros((2, 5, 5)), HEIGHT, WIDTH)


def test_bitmaps_of_something_else_raise():
    with pytest.raises(TypeError, match="int"):
        BitmapMasks(3, HEIGHT, WIDTH)


def test_polygons_of_something_else_raise():
    with pytest.raises(TypeError, match="lists"):
        PolygonMasks([np.zeros(6)], HEIGHT, WIDTH)


def test_bool_bitmaps_stay_bool_when_resized():
    assert BitmapMasks(np.ones((1, 4, 4), dtype=bool), 4, 4).resize((2, 2)).masks.dtype == bool


def test_bitmap_without_any_pixel_has_a_zero_box():
    assert BitmapMasks(np.zeros((1, 4, 4), dtype=np.uint8), 4, 4).get_bboxes().tolist() == [[0, 0, 0, 0]]


def test_padding_bitmaps_to_a_smaller_canvas_raises():
    with pytest.raises(ValueError, match="smaller"):
        bitmaps().pad((4, 4))


def test_soft_crops_of_bitmaps_keep_fractions():
    cut = bitmaps().crop_and_resize(np.array([[0, 0, 6, 4.0]]), (3, 3), np.array([0]), binarize=False)
    assert ((cut.masks > 0) & (cut.masks < 1)).any()


def test_soft_crops_of_polygons_raise():
    with pytest.raises(ValueError, match="binarize"):
        polygons().crop_and_resize(np.zeros((1, 4)), (3, 3), np.array([0]), binarize=False)


def test_polygons_cannot_be_filled():
    with pytest.raises(ValueError, match="fill_val"):
        polygons().translate((8, 12), 1, fill_val=5)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.sampled_from(["horizontal", "vertical", "diagonal"]))
def test_flipping_twice_gives_the_same_masks(seed, direction):
    masks = BitmapMasks.random(2, 9, 7, rng=seed)
    np.testing.assert_array_equal(masks.flip(direction).flip(direction).masks, masks.masks)
