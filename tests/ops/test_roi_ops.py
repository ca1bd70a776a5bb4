from __future__ import annotations

import pytest
import torch
from raydet_ops import RoIAlign, RoIPool, roi_align, roi_pool

ROW = torch.arange(4.0).view(1, 1, 1, 4).expand(1, 1, 4, 4).contiguous()
WHOLE = torch.tensor([[0.0, 0.0, 0.0, 4.0, 4.0]])


@pytest.mark.parametrize(
    ("mode", "ratio", "aligned", "expected"),
    [
        ("avg", 2, True, [0.5, 2.5]),
        ("avg", 1, True, [0.5, 2.5]),
        ("max", 1, True, [0.5, 2.5]),
        ("max", 2, True, [1.0, 3.0]),
        ("max", 0, True, [1.0, 3.0]),
        ("max", 2, False, [1.5, 3.0]),
    ],
)
def test_roi_align_of_a_ramp_samples_where_expected(mode, ratio, aligned, expected):
    pooled = roi_align(ROW, WHOLE, 2, 1.0, ratio, mode, aligned)
    torch.testing.assert_close(pooled, torch.tensor(expected).expand(1, 1, 2, 2))


def test_roi_align_with_max_sends_the_gradient_to_one_sample():
    image = ROW.clone().requires_grad_()
    roi_align(image, WHOLE, (1, 1), 1.0, 4, "max").sum().backward()
    assert image.grad.count_nonzero() == 1
    assert image.grad.sum() == 1


def test_roi_align_of_half_precision_keeps_exact_regions():
    pooled = roi_align(ROW.half(), WHOLE, 2)
    assert pooled.dtype == torch.half
    torch.testing.assert_close(pooled, torch.tensor([0.5, 2.5]).half().expand(1, 1, 2, 2))


@pytest.mark.parametrize("mode", ["avg", "max"])
def test_roi_align_of_no_regions_is_empty(mode):
    assert roi_align(ROW, torch.zeros(0, 5), (2, 3), pool_mode=mode).shape == (0, 1, 2, 3)


def test_roi_pool_takes_the_maximum_of_each_cell():
    pooled = roi_pool(ROW, torch.tensor([[0.0, 0.0, 0.0, 3.0, 3.0]]), 2)
    torch.testing.assert_close(pooled, torch.tensor([1.0, 3.0]).expand(1, 1, 2, 2))


def test_roi_pool_outside_the_image_is_zero():
    assert roi_pool(ROW + 1, torch.tensor([[0.0, 10.0, 10.0, 12.0, 12.0]]), 2).count_nonzero() == 0


@pytest.mark.parametrize("pool", [roi_align, roi_pool])
def test_pooling_with_wrong_regions_raises(pool):
    with pytest.raises(ValueError, match="image index"):
        pool(ROW, WHOLE[:, 1:], 2)


def test_roi_align_with_unknown_mode_raises():
    with pytest.raises(ValueError, match="pool_mode"):
        roi_align(ROW, WHOLE, 2, pool_mode="median")


def test_modules_take_the_old_argument_names():
    layer = RoIAlign(out_size=2, spatial_scale=0.5, sample_num=3, use_torchvision=True)
    assert (layer.output_size, layer.spatial_scale, layer.sampling_ratio) == ((2, 2), 0.5, 3)
    assert RoIPool(out_size=(2, 3)).output_size == (2, 3)


def test_modules_without_size_raise():
    with pytest.raises(TypeError, match="output_size"):
        RoIAlign(spatial_scale=0.5)


def test_modules_compute_what_the_functions_do():
    torch.testing.assert_close(RoIAlign(2)(ROW, WHOLE), roi_align(ROW, WHOLE, 2))
    torch.testing.assert_close(RoIPool(2)(ROW, WHOLE), roi_pool(ROW, WHOLE, 2))
