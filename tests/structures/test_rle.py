from __future__ import annotations

import numpy as np
import pytest
from pycocotools import mask as rle_tools

from raydet.structures.masks import encode_bitmaps


def by_pycocotools(mask):
    return rle_tools.encode(np.asfortranarray(mask, np.uint8))


def ring(height, width, top, bottom, left, right):
    mask = np.zeros((height, width), bool)
    mask[top:bottom, left:right] = True
    mask[top + 2 : bottom - 2, left + 2 : right - 2] = False
    return mask


MASKS = {
    "empty": np.zeros((40, 30), bool),
    "full": np.ones((40, 30), bool),
    "full in whole words": np.ones((64, 64), bool),
    "first pixel": np.eye(1, 600).reshape(20, 30),
    "last pixel": np.eye(1, 600, 599).reshape(20, 30),
    "in the middle": ring(100, 64, 40, 60, 10, 30),
    "at the top": ring(100, 64, 0, 30, 0, 64),
    "at the bottom": ring(100, 61, 70, 100, 20, 61),
    "from top to bottom": ring(100, 61, 0, 100, 3, 5),
    "last row but one": ring(33, 20, 20, 32, 3, 9),
    "one row": np.arange(70)[None] % 3 == 0,
    "one column": np.arange(70)[:, None] % 3 == 0,
    "one pixel": np.ones((1, 1), bool),
    "checks": np.indices((37, 53)).sum(axis=0) % 2 == 1,
    "long runs": ring(1500, 2000, 100, 1400, 5, 1990),
}


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("layout", [np.ascontiguousarray, np.asfortranarray])
def test_encode_bitmaps_gives_the_bytes_of_pycocotools(name, layout):
    assert encode_bitmaps([layout(MASKS[name])]) == [by_pycocotools(MASKS[name])]


def test_encode_bitmaps_of_many_sizes_at_once_keeps_them_apart():
    masks = list(MASKS.values()) * 2
    assert encode_bitmaps(masks) == [by_pycocotools(mask) for mask in masks]


@pytest.mark.parametrize("density", [0.001, 0.1, 0.5, 0.9])
def test_encode_bitmaps_of_noise_is_that_of_pycocotools(density):
    masks = np.random.default_rng(0).random((20, 47, 61)) < density
    assert encode_bitmaps(masks) == [by_pycocotools(mask) for mask in masks]


@pytest.mark.parametrize("seed", range(5))
def test_encode_bitmaps_of_random_rectangles_of_any_size_and_order_is_that_of_pycocotools(seed):
    random = np.random.default_rng(seed)
    masks = []
    for _ in range(40):
        mask = np.zeros(random.integers(1, 200, 2), bool)
        for _ in range(random.integers(0, 4)):
            (top, bottom), (left, right) = (np.sort(random.integers(0, side + 1, 2)) for side in mask.shape)
            mask[top:bottom, left:right] ^= True
        masks.append(mask if random.random() < 0.5 else np.asfortranarray(mask))
    assert encode_bitmaps(masks) == [by_pycocotools(mask) for mask in masks]


def test_encode_bitmaps_takes_numbers_and_slices():
    numbers = np.pad(np.full((8, 8), 7), 4)
    assert encode_bitmaps([numbers, numbers[::2, 1:]]) == [
        by_pycocotools(numbers > 0),
        by_pycocotools(numbers[::2, 1:] > 0),
    ]


def test_encode_bitmaps_of_nothing_is_nothing():
    assert encode_bitmaps([]) == []
    assert encode_bitmaps(np.zeros((0, 5, 5), bool)) == []
