from __future__ import annotations

import numpy as np
import pycocotools.mask as mask_utils
import pytest
import torch
import torch.nn.functional as F

from raydet.geometry import (
    encode_mask_results,
    mask2bbox,
    mask_target,
    paste_masks,
    preprocess_panoptic_gt,
    split_combined_polys,
)
from raydet.structures import BitmapMasks


def square(height: int = 10, width: int = 12) -> np.ndarray:
    mask = np.zeros((height, width), dtype=np.uint8)
    mask[2:6, 3:9] = 1
    return mask


def bitmap() -> BitmapMasks:
    return BitmapMasks([square()], 10, 12)


@pytest.mark.parametrize("size", [4, (4, 6)])
def test_mask_target_is_full_inside_the_mask(size):
    boxes = torch.tensor([[3.0, 2.0, 9.0, 6.0], [0.0, 0.0, 3.0, 2.0]])
    targets = mask_target([boxes], [torch.tensor([0, 0])], [bitmap()], {"mask_size": size})
    assert targets.shape == (2, *((size, size) if isinstance(size, int) else size))
    assert targets[0].min() == 1
    assert targets[1].max() == 0


def test_mask_target_without_positives_is_empty():
    targets = mask_target([torch.zeros(0, 4)], [torch.zeros(0, dtype=torch.long)], [bitmap()], {"mask_size": 4})
    assert targets.shape == (0, 4, 4)


def test_mask_target_soft_keeps_fractions():
    cfg = {"mask_size": 5, "soft_mask_target": True}
    targets = mask_target([torch.tensor([[0.0, 0.0, 12.0, 10.0]])], [torch.tensor([0])], [bitmap()], cfg)
    assert ((targets > 0) & (targets < 1)).any()


def sampled(masks: torch.Tensor, boxes: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """The definition: bilinear samples at the pixel centers, in the coordinates of each box."""
    x = ((torch.arange(width) + 0.5)[None] - boxes[:, :1]) / (boxes[:, 2:3] - boxes[:, :1]) * 2 - 1
    y = ((torch.arange(height) + 0.5)[None] - boxes[:, 1:2]) / (boxes[:, 3:] - boxes[:, 1:2]) * 2 - 1
    grid = torch.stack([x[:, None].expand(-1, height, -1), y[:, :, None].expand(-1, -1, width)], dim=-1)
    return F.grid_sample(masks, grid, align_corners=False)[:, 0]


@pytest.mark.parametrize("skip", [True, False])
def test_paste_masks_equals_sampling(skip):
    masks = torch.rand(2, 1, 7, 5)
    boxes = torch.tensor([[3.2, 1.1, 15.7, 12.0], [-4.0, 2.0, 9.5, 40.0]])
    pasted, window = paste_masks(masks, boxes, 20, 24, skip_empty=skip)
    whole = torch.zeros(2, 20, 24)
    whole[(slice(None), *window)] = pasted
    torch.testing.assert_close(whole, sampled(masks, boxes, 20, 24), atol=1e-5, rtol=1e-4)


def test_paste_masks_into_a_box_without_extent_is_finite():
    pasted, _ = paste_masks(torch.rand(1, 1, 4, 4), torch.tensor([[3.0, 3.0, 3.0, 8.0]]), 10, 10, skip_empty=False)
    assert torch.isfinite(pasted).all()


def test_mask2bbox_is_tight_and_zero_for_empty():
    masks = torch.stack([torch.from_numpy(square()), torch.zeros(10, 12, dtype=torch.uint8)])
    assert mask2bbox(masks).tolist() == [[3, 2, 9, 6], [0, 0, 0, 0]]
    assert mask2bbox(masks[:0]).shape == (0, 4)


def test_split_combined_polys_restores_masks():
    row = np.arange(20)
    assert [
        [[p.tolist() for p in mask] for mask in image] for image in split_combined_polys([row], [[6, 6, 8]], [[1, 2]])
    ] == [[[list(range(6))], [list(range(6, 12)), list(range(12, 20))]]]


def test_encode_mask_results_keeps_masks_and_scores():
    groups = [[square().astype(bool)], []]
    encoded = encode_mask_results(groups)
    np.testing.assert_array_equal(mask_utils.decode(encoded[0][0]), square())
    assert encode_mask_results((groups, [[0.5], []]))[1] == [[0.5], []]


def test_panoptic_truth_adds_stuff_behind_things():
    semantic = torch.full((1, 12, 12), 255)
    semantic[0, 8:, :] = 3
    semantic[0, :2, :] = 0
    labels, masks = preprocess_panoptic_gt(torch.tensor([1]), bitmap(), semantic, 2, 3, {"pad_shape": (12, 12, 3)})
    assert labels.tolist() == [1, 3]
    assert masks.sum(dim=(1, 2)).tolist() == [24, 48]
    labels, masks = preprocess_panoptic_gt(torch.tensor([1]), bitmap(), None, 2, 0, {"pad_shape": (12, 12, 3)})
    assert masks.shape == (1, 12, 12)
