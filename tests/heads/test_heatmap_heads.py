"""Heads that look for peaks: contract, and what is special about them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from raydet.heads.heatmap.corner import EDGES
from raydet.heads.heatmap.corner_targets import corner_targets
from raydet.registry import HEADS
from raydet.structures import Batch, GroundTruth, ImageMeta

CORNERS = {
    "in_channels": 8,
    "num_classes": 3,
    "test_cfg": {
        "corner_topk": 40,
        "distance_threshold": 100.0,
        "max_per_img": 10,
        "nms": {"type": "soft_nms", "iou_threshold": 0.5, "method": "gaussian"},
    },
}
SETTINGS: dict[str, dict[str, Any]] = {
    "CenterNetHead": {"in_channel": 8, "feat_channel": 8, "num_classes": 3, "test_cfg": {"topk": 10}},
    "CornerHead": CORNERS,
    "CentripetalHead": {**CORNERS, "corner_emb_channels": 0},
}
LEVELS = {"CenterNetHead": 1, "CornerHead": 2, "CentripetalHead": 2}


def make(name: str, **changes: Any) -> Any:
    torch.manual_seed(0)
    head = HEADS.build({"type": name, **SETTINGS[name], **changes})
    head.init_weights()
    return head


def feats(name: str, num: int = 2) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(num, 8, 16, 24, generator=generator) for _ in range(LEVELS[name])]


def metas(num: int = 2, **changes: Any) -> list[ImageMeta]:
    return [ImageMeta.from_dict({"img_shape": (64, 96), **changes})] * num


def batch(num_boxes: int, num: int = 2) -> Batch:
    corner = torch.arange(num_boxes)[:, None] * torch.tensor([20.0, 10.0]) + 4
    truth = GroundTruth(torch.cat([corner, corner + 30], dim=1), torch.arange(num_boxes) % 3)
    return Batch(torch.zeros(num, 3, 64, 96), metas(num), [truth] * num)


def corner_maps(*boxes: tuple[int, int, int, int]) -> tuple[list[torch.Tensor], ...]:
    """What a `CornerHead` predicts that sees the corners of `boxes`, of class 1, in cells of 4 pixels."""
    heat = [torch.full((1, 3, 16, 24), -9.0) for _ in EDGES]
    embedding, shift = ([torch.zeros(1, dims, 16, 24) for _ in EDGES] for dims in (1, 2))
    for own, box in enumerate(boxes):
        for side, (x, y) in enumerate((box[:2], box[2:])):
            heat[side][0, 1, y, x] = 9.0 - own
            embedding[side][0, 0, y, x] = own
    return heat, embedding, shift


def show(head: Any, monkeypatch: pytest.MonkeyPatch, maps: dict[str, list[torch.Tensor]]) -> None:
    """Let a head predict given maps, top left and bottom right, by role."""
    sides = {side: {role: pair[i] for role, pair in maps.items()} for i, side in enumerate(EDGES)}
    monkeypatch.setattr(head, "corner", lambda side, feature, level: sides[side])


@pytest.mark.parametrize("num_boxes", [0, 1, 2])
@pytest.mark.parametrize("name", SETTINGS)
def test_loss_is_finite_and_reaches_every_parameter(name: str, num_boxes: int) -> None:
    head = make(name)
    losses = head.loss(feats(name), batch(num_boxes))
    sum(losses.values()).backward()
    assert all(torch.isfinite(value).all() for value in losses.values())
    assert [key for key, p in head.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("name", SETTINGS)
def test_predictions_are_sorted_and_scaled_back(name: str) -> None:
    head = make(name)
    plain = head.predict(feats(name), metas())
    scaled = head.predict(feats(name), metas(scale_factor=2.0), rescale=True)
    assert len(plain) == 2
    assert (plain[0].scores[:-1] >= plain[0].scores[1:]).all()
    torch.testing.assert_close(scaled[0].boxes, plain[0].boxes / 2)


@pytest.mark.parametrize("name", SETTINGS)
def test_losses_and_detections_are_float32_under_mixed_precision(name: str) -> None:
    head = make(name)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses, found = head.loss(feats(name), batch(2)), head.predict(feats(name), metas())
    assert {value.dtype for value in losses.values()} == {torch.float32}
    assert {value.dtype for each in found for value in (each.boxes, each.scores)} == {torch.float32}


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_network_part_is_exported_and_compiled_whole(name: str) -> None:
    head, maps = make(name).eval(), feats(name)
    with torch.no_grad():
        expected = head(maps)
        exported = torch.export.export(head, (maps,), strict=False).module()
        torch.compiler.reset()
        compiled = torch.compile(head, backend="aot_eager", fullgraph=True)
        torch.testing.assert_close(exported(maps), expected)
        torch.testing.assert_close(compiled(maps), expected)


def test_border_of_a_padded_image_is_taken_off() -> None:
    name = "CenterNetHead"
    head = make(name)
    plain, moved = (head.predict(feats(name), metas(**extra))[0] for extra in ({}, {"border": (3, 60, 5, 90)}))
    torch.testing.assert_close(moved.boxes, plain.boxes - torch.tensor([5.0, 3.0, 5.0, 3.0]))


def test_view_and_its_mirror_image_agree_as_one() -> None:
    head = make("CenterNetHead")
    one = feats("CenterNetHead", 1)
    view = metas(1)[0]
    mirrored = replace(view, flip=True, flip_direction="horizontal")
    found = head.predict_augmented([one, one], [view, mirrored])
    heat = head(one)[0][0]
    assert found.scores[0] <= heat.max()
    with pytest.raises(ValueError, match="flip=True"):
        head.predict_augmented([one], [view])


def test_corners_without_embeddings_cannot_be_paired() -> None:
    head = make("CornerHead", corner_emb_channels=0)
    with pytest.raises(ValueError, match="use CentripetalHead"):
        head.predict(feats("CornerHead"), metas())


def test_corners_are_pairs_when_their_embeddings_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    boxes = (2, 3, 10, 9), (12, 4, 20, 12)
    head = make("CornerHead", test_cfg={"corner_topk": 5, "distance_threshold": 0.5, "max_per_img": 10})
    heat, embedding, shift = corner_maps(*boxes)
    show(head, monkeypatch, {"heat": heat, "emb": embedding, "off": shift})
    found = head.candidates(feats("CornerHead", 1), metas(1))[0]
    found = [found.boxes[found.scores > 0.9], found.labels[found.scores > 0.9]]
    torch.testing.assert_close(found[0], torch.tensor(boxes) * 4.0)
    assert found[1].tolist() == [1, 1]


def test_border_is_taken_off_before_corners_are_paired(monkeypatch: pytest.MonkeyPatch) -> None:
    head = make("CornerHead", test_cfg={"corner_topk": 5, "distance_threshold": 0.5})
    heat, embedding, shift = corner_maps((2, 3, 10, 9))
    show(head, monkeypatch, {"heat": heat, "emb": embedding, "off": shift})
    found = head.candidates(feats("CornerHead", 1), metas(1, border=(3, 60, 20, 90)))[0]
    assert found.boxes[0].tolist() == [0, 12 - 3, 40 - 20, 36 - 3]


def test_corners_are_pairs_when_they_point_to_one_center(monkeypatch: pytest.MonkeyPatch) -> None:
    boxes = (2, 3, 10, 9), (12, 4, 20, 12)
    head = make("CentripetalHead", test_cfg={"corner_topk": 5, "distance_threshold": 0.5})
    heat, _, shift = corner_maps(*boxes)
    away = [torch.full_like(value, -9.0) for value in shift]
    for box in boxes:
        for side, (x, y) in enumerate((box[:2], box[2:])):
            away[side][0, :, y, x] = torch.tensor([(box[2] - box[0]) / 2, (box[3] - box[1]) / 2]).log()
    show(head, monkeypatch, {"heat": heat, "off": shift, "guiding_shift": shift, "centripetal_shift": away})
    found = head.candidates(feats("CentripetalHead", 1), metas(1))[0]
    torch.testing.assert_close(found.boxes[found.scores > 0.9], torch.tensor(boxes) * 4.0)


def test_corner_targets_lie_in_the_cells_of_the_corners() -> None:
    given = batch(1, 1)  # a box from (4, 4) to (34, 34) of 4 pixels to a cell
    top_left, bottom_right = corner_targets(given, torch.zeros(1, 3, 16, 24))
    assert top_left.heat[0, 0, 1, 1] == bottom_right.heat[0, 0, 8, 8] == 1
    assert top_left.learns.nonzero()[:, 2:].tolist() == top_left.cells[0].tolist() == [[1, 1]]
    assert bottom_right.cells[0].tolist() == [[8, 8]]
    assert bottom_right.shifts["off"][0, :, 8, 8].tolist() == [0.5, 0.5]
    assert bottom_right.shifts["guiding_shift"][0, :, 8, 8].tolist() == [8 - 4.75, 8 - 4.75]
    torch.testing.assert_close(top_left.shifts["centripetal_shift"][0, :, 1, 1].exp(), torch.full((2,), 3.75))


@pytest.mark.parametrize("name", ["CornerHead", "CentripetalHead"])
def test_pairs_of_all_views_are_suppressed_together(name: str) -> None:
    head = make(name)
    one, view = feats(name, 1), metas(1, scale_factor=2.0)[0]
    mirrored = replace(view, flip=True, flip_direction="horizontal")
    found = head.predict_augmented([one, one], [view, mirrored], rescale=True)
    assert 0 < len(found) <= 10
    torch.testing.assert_close(head.predict_augmented([one, one], [view, mirrored]).boxes, found.boxes * 2)
    with pytest.raises(ValueError, match="flip=True"):
        head.predict_augmented([one], [view])


def test_corners_start_at_a_small_probability() -> None:
    head = make("CentripetalHead")
    assert torch.allclose(head.tl_heat[1][-1].conv.bias.sigmoid(), torch.tensor(0.1))
    assert head.br_dcn_offset[0].conv.weight.std() > 0.05
    with pytest.raises(ValueError, match="must be 2"):
        make("CentripetalHead", guiding_shift_channels=3)
    with pytest.raises(ValueError, match="init_cfg"):
        make("CornerHead", init_cfg={"type": "Normal", "layer": "Conv2d"})


def test_old_name_of_the_suppression_is_understood() -> None:
    nms = {"type": "nms", "iou_threshold": 0.4}
    with pytest.warns(DeprecationWarning, match="nms_cfg"):
        assert make("CornerHead", test_cfg={"nms_cfg": nms}).test_config.nms == nms
