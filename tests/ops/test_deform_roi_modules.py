from __future__ import annotations

import pytest
import torch
from raydet_ops import (
    DeformRoIPool,
    DeformRoIPoolPack,
    ModulatedDeformRoIPoolPack,
    PrRoIPool,
    SimpleRoIAlign,
    deform_roi_pool,
    point_sample,
    prroi_pool,
    roi_align,
)
from raydet_ops.points import generate_grid, rel_roi_point_to_abs_img_point, rel_roi_point_to_rel_img_point

from raydet.registry import LAYERS

FEATURES = torch.linspace(0, 1, 2 * 4 * 6 * 8).view(2, 4, 6, 8)
ROIS = torch.tensor([[1.0, 4, 4, 40, 30], [0, 8, 0, 50, 44]])


def test_a_pack_starts_without_offsets():
    pack = DeformRoIPoolPack(3, 4, 16, spatial_scale=0.125, sampling_ratio=2)
    torch.testing.assert_close(pack(FEATURES, ROIS), roi_align(FEATURES, ROIS, 3, 0.125, 2))


def test_a_modulated_pack_starts_with_half_the_features():
    pack = ModulatedDeformRoIPoolPack((2, 3), 4, 16, spatial_scale=0.125)
    torch.testing.assert_close(pack(FEATURES, ROIS), roi_align(FEATURES, ROIS, (2, 3), 0.125) / 2)


def test_packs_have_the_keys_of_2x():
    keys = [f"offset_fc.{i}.{name}" for i in (0, 2, 4) for name in ("weight", "bias")]
    assert list(DeformRoIPoolPack(2, 3, 5).state_dict()) == keys
    keys += [f"mask_fc.{i}.{name}" for i in (0, 2) for name in ("weight", "bias")]
    assert list(ModulatedDeformRoIPoolPack(2, 3, 5).state_dict()) == keys
    assert ModulatedDeformRoIPoolPack(2, 3, 5).mask_fc[2].weight.shape == (4, 5)


def test_all_parameters_of_a_pack_learn():
    pack = ModulatedDeformRoIPoolPack(2, 4, 16, spatial_scale=0.125)
    torch.nn.init.normal_(pack.offset_fc[-1].weight)
    torch.nn.init.normal_(pack.mask_fc[2].weight)
    pack(FEATURES, ROIS).square().sum().backward()
    assert all(value.grad is not None and value.grad.any() for value in pack.parameters())


def test_a_pack_of_no_regions_is_empty():
    pack = ModulatedDeformRoIPoolPack(2, 4, 16)
    assert pack(FEATURES, torch.zeros(0, 5)).shape == (0, 4, 2, 2)


def test_a_pack_of_other_channels_raises():
    with pytest.raises(ValueError, match="output_channels"):
        DeformRoIPoolPack(2, 3)(FEATURES, ROIS)


def test_modules_compute_what_functions_do():
    offset = torch.ones(2, 2, 2, 2)
    expected = deform_roi_pool(FEATURES, ROIS, offset, 2, 0.125, 1, 0.2)
    torch.testing.assert_close(DeformRoIPool(2, 0.125, 1, 0.2)(FEATURES, ROIS, offset), expected)
    torch.testing.assert_close(PrRoIPool(2, 0.125)(FEATURES, ROIS), prroi_pool(FEATURES, ROIS, 2, 0.125))


@pytest.mark.parametrize("kind", ["RoIAlign", "RoIPool", "PrRoIPool", "DeformRoIPool", "SimpleRoIAlign"])
def test_configs_name_the_layers(kind):
    assert LAYERS.build({"type": kind, "output_size": 3, "spatial_scale": 0.5}).output_size == (3, 3)


def test_simple_align_keeps_the_order_of_regions():
    inside = torch.tensor([[1.0, 8, 8, 40, 30], [0, 8, 8, 50, 40], [1, 8, 8, 24, 24]])
    simple = SimpleRoIAlign(2, 0.125)(FEATURES, inside)
    torch.testing.assert_close(simple, roi_align(FEATURES, inside, 2, 0.125, 1))


def test_grid_points_are_centres_row_by_row():
    grid = generate_grid(2, (1, 2), "cpu")
    torch.testing.assert_close(grid, torch.tensor([[0.25, 0.5], [0.75, 0.5]]).expand(2, 2, 2))


def test_points_of_regions_become_points_of_the_image():
    rois, centre = torch.tensor([[0.0, 10, 20, 30, 60]]), torch.tensor([[[0.5, 0.25]]])
    torch.testing.assert_close(rel_roi_point_to_abs_img_point(rois, centre), torch.tensor([[[20.0, 30]]]))
    relative = rel_roi_point_to_rel_img_point(rois, centre, (40, 50), spatial_scale=0.5)
    torch.testing.assert_close(relative, torch.tensor([[[0.2, 0.375]]]))
    maps = torch.zeros(1, 1, 40, 50)
    torch.testing.assert_close(rel_roi_point_to_rel_img_point(rois, centre, maps, spatial_scale=0.5), relative)


def test_points_at_the_centres_of_pixels_are_the_pixels():
    points = generate_grid(2, (6, 8), "cpu")
    torch.testing.assert_close(point_sample(FEATURES, points).view_as(FEATURES), FEATURES)
    torch.testing.assert_close(point_sample(FEATURES, points.view(2, 6, 8, 2)), FEATURES)


def test_image_size_of_another_form_raises():
    with pytest.raises(ValueError, match="img"):
        rel_roi_point_to_rel_img_point(ROIS, torch.zeros(2, 1, 2), torch.zeros(3, 4))
