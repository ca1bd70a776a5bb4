"""SOLO's heads: contract, and which cell learns what."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from raydet.heads.mask.bitmaps import shrunk_by
from raydet.heads.mask.grid_targets import Grid, GridAssigner
from raydet.registry import HEADS
from raydet.structures import Batch, BitmapMasks, GroundTruth, ImageMeta

COMMON = {
    "num_classes": 3,
    "in_channels": 8,
    "feat_channels": 8,
    "stacked_convs": 2,
    "strides": [8, 8, 16],
    "scale_ranges": ((1, 40), (20, 60), (30, 200)),
    "num_grids": [6, 5, 4],
    "norm_cfg": {"type": "GN", "num_groups": 2},
    "loss_mask": {"type": "DiceLoss", "use_sigmoid": True, "loss_weight": 3.0},
    "loss_cls": {"type": "FocalLoss", "use_sigmoid": True},
    "test_cfg": {"nms_pre": 50, "score_thr": 0.0, "mask_thr": 0.4, "filter_thr": 0.0, "max_per_img": 7},
}
DECOUPLED = {
    **COMMON,
    "loss_mask": {"type": "DiceLoss", "activate": False},
    "test_cfg": {"mask_thr": 0.15, "max_per_img": 7},
}
FEATURES = {"feat_channels": 8, "start_level": 0, "end_level": 2, "out_channels": 4, "mask_stride": 4}
SETTINGS: dict[str, dict[str, Any]] = {
    "SOLOHead": COMMON,
    "DecoupledSOLOHead": DECOUPLED,
    "DecoupledSOLOLightHead": DECOUPLED,
    "SOLOV2Head": {**COMMON, "mask_feature_head": FEATURES},
}
SIZES = ((16, 24), (8, 12), (4, 6))


def make(name: str, **changes: Any) -> Any:
    torch.manual_seed(0)
    return HEADS.build({"type": name, **SETTINGS[name], **changes})


def feats(num: int = 2) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(num, 8, h, w, generator=generator) for h, w in SIZES]


def metas(num: int = 2, **changes: Any) -> list[ImageMeta]:
    return [ImageMeta.from_dict({"img_shape": (60, 92), "ori_shape": (30, 46), **changes})] * num


def truth(num_boxes: int, masks: bool = True) -> GroundTruth:
    corner = torch.arange(num_boxes)[:, None] * torch.tensor([20.0, 10.0]) + 4
    boxes = torch.cat([corner, corner + 30], dim=1)
    bitmaps = np.zeros((num_boxes, 64, 96), dtype=np.uint8)
    for mask, (x, y, x2, y2) in zip(bitmaps, boxes.int().tolist(), strict=True):
        mask[y:y2, x:x2] = 1
    return GroundTruth(boxes, torch.arange(num_boxes) % 3, BitmapMasks(bitmaps, 64, 96) if masks else None)


def batch(num_boxes: int, num: int = 2, masks: bool = True) -> Batch:
    return Batch(torch.zeros(num, 3, 64, 96), metas(num), [truth(num_boxes, masks)] * num)


@pytest.mark.parametrize("num_boxes", [0, 1, 2])
@pytest.mark.parametrize("name", SETTINGS)
def test_loss_is_finite_and_reaches_every_parameter(name: str, num_boxes: int) -> None:
    head = make(name)
    losses = head.loss(feats(), batch(num_boxes))
    sum(losses.values()).backward()
    assert all(torch.isfinite(value) for value in losses.values())
    assert (losses["loss_mask"] > 0) == (num_boxes > 0)
    assert [key for key, p in head.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("rescale", [False, True])
@pytest.mark.parametrize("name", SETTINGS)
def test_masks_are_sorted_and_as_large_as_the_image(name: str, rescale: bool) -> None:
    found = make(name).predict(feats(), metas(), rescale)
    assert len(found) == 2
    for each in found:
        assert len(each) > 0
        assert (each.scores[:-1] >= each.scores[1:]).all()
        assert each.masks.shape == (len(each), *((30, 46) if rescale else (60, 92)))
        assert each.masks.dtype == bool
        assert not each.boxes.any()


@pytest.mark.parametrize(("name", "rare"), [("SOLOHead", "conv_mask_list.1"), ("SOLOV2Head", "conv_cls")])
def test_predictors_start_with_small_probabilities(name: str, rare: str) -> None:
    head = make(name)
    head.init_weights()
    assert torch.allclose(head.get_parameter(f"{rare}.bias").sigmoid(), torch.tensor(0.01))


@pytest.mark.parametrize("name", SETTINGS)
def test_nothing_found_is_no_mask(name: str) -> None:
    (found,) = make(name, test_cfg={"score_thr": 1.1}).predict(feats(1), metas(1), rescale=True)
    assert (len(found), found.masks.shape) == (0, (0, 30, 46))


@pytest.mark.parametrize("name", SETTINGS)
def test_losses_and_masks_are_sound_under_mixed_precision(name: str) -> None:
    head = make(name)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses, found = head.loss(feats(), batch(2)), head.predict(feats(), metas())
    assert {value.dtype for value in losses.values()} == {torch.float32}
    assert {each.scores.dtype for each in found} == {torch.float32}


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_network_part_is_exported_and_compiled_whole(name: str) -> None:
    head, maps = make(name).eval(), feats()
    with torch.no_grad():
        expected = head(maps)
        exported = torch.export.export(head, (maps,), strict=False).module()
        torch.compiler.reset()
        compiled = torch.compile(head, backend="aot_eager", fullgraph=True)
        torch.testing.assert_close(exported(maps), expected)
        torch.testing.assert_close(compiled(maps), expected)


def test_head_says_that_masks_are_missing() -> None:
    with pytest.raises(ValueError, match="with_mask=True"):
        make("SOLOHead").loss(feats(), batch(1, masks=False))


def test_head_wants_one_entry_per_level() -> None:
    with pytest.raises(ValueError, match="one entry per level, got 3, 3 and 2"):
        make("SOLOHead", num_grids=[4, 3])


def assigner(several: bool, *objects: tuple[int, int, int, int]) -> GridAssigner:
    boxes = torch.tensor(objects, dtype=torch.float32)
    bitmaps = np.zeros((len(objects), 80, 80), dtype=np.uint8)
    for mask, (x, y, x2, y2) in zip(bitmaps, objects, strict=True):
        mask[y:y2, x:x2] = 1
    found = GroundTruth(boxes, torch.arange(len(objects)), BitmapMasks(bitmaps, 80, 80))
    return GridAssigner(found, 9, (80, 80), 0.2, several)


def grid(scales: tuple[float, float] = (0, 1000)) -> Grid:
    return Grid(cells=8, scales=scales, mask_size=(20, 20), mask_stride=4)


def test_cells_around_the_center_of_mass_learn_an_object() -> None:
    targets = assigner(False, (10, 20, 40, 32)).targets(grid())
    x, y = 2, 2  # the center (24.5, 25.5) and a tenth of the sides around it stay in one cell of 10 pixels
    assert targets.cells.tolist() == [y * 8 + x]
    assert targets.labels[y * 8 + x] == 0
    assert int((targets.labels != 9).sum()) == int(targets.num_cells) == 1
    assert targets.masks.sum() == 8 * 3  # 30 by 12 pixels, four to one


def test_large_objects_take_at_most_nine_cells() -> None:
    targets = assigner(False, (0, 0, 80, 80)).targets(grid())
    rows, columns = targets.cells // 8, targets.cells % 8
    assert rows.unique().tolist() == columns.unique().tolist() == [3, 4]  # 39.5 +- 8 pixels
    assert len(targets.masks) == 4


def test_level_learns_only_objects_of_its_scale() -> None:
    targets = assigner(False, (10, 10, 20, 20), (10, 10, 70, 70)).targets(grid((30, 100)))
    assert set(targets.labels.tolist()) == {1, 9}


def test_of_two_objects_in_a_cell_the_last_one_names_it() -> None:
    objects = ((10, 10, 50, 50), (14, 14, 46, 46))
    one, both = (assigner(several, *objects).targets(grid()) for several in (False, True))
    assert 1 in one.labels
    assert torch.equal(one.labels, both.labels)
    assert len(one.cells) == int(one.num_cells) == int(both.num_cells)
    assert len(both.cells) > len(one.cells)


def test_object_without_pixels_is_left_out() -> None:
    assert int(assigner(False, (10, 10, 10, 10)).targets(grid((0, 10))).num_cells) == 0


def test_shrunken_masks_are_means_of_the_middle_pixels() -> None:
    masks = torch.zeros(1, 8, 10, dtype=torch.uint8)
    masks[0, 1:3, 1] = 1
    masks[0, 5, 5] = 1
    assert shrunk_by(masks, 4, (3, 2)).tolist() == [[[1, 0], [0, 0], [0, 0]]]  # of four pixels two do, one does not


def test_column_times_row_makes_a_mask() -> None:
    head = make("DecoupledSOLOHead")
    maps = head(feats())
    cell = torch.tensor([7])
    expected = maps[0][0][1, 1].sigmoid() * maps[1][0][1, 1].sigmoid()  # 7 = row 1, column 1 of 6 by 6
    torch.testing.assert_close(head.masks(maps, 0, 1, cell)[0], expected)


def test_kernels_of_a_cell_find_its_mask_on_the_shared_map() -> None:
    head = make("SOLOV2Head", dynamic_conv_size=3)
    kernels, _, features = maps = head(feats())
    got = head.masks(maps, 1, 0, torch.tensor([13]))
    weight = kernels[1][0, :, 2, 3].view(1, 4, 3, 3)  # 13 = row 2, column 3 of 5 by 5
    torch.testing.assert_close(got, torch.nn.functional.conv2d(features[:1], weight, padding=1)[0])
    with pytest.raises(ValueError, match="must be odd"):
        make("SOLOV2Head", dynamic_conv_size=2)


def test_deformable_convolutions_stand_everywhere_or_at_the_end() -> None:
    for everywhere, wanted in ((True, [True, True]), (False, [False, True])):
        head = make("SOLOV2Head", dcn_cfg={"type": "DCNv2"}, dcn_apply_to_all_conv=everywhere)
        assert [hasattr(conv.conv, "conv_offset") for conv in head.kernel_convs] == wanted
