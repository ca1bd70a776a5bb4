"""Heads that look for peaks: contract, and what is special about them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from raydet.registry import HEADS
from raydet.structures import Batch, GroundTruth, ImageMeta

SETTINGS: dict[str, dict[str, Any]] = {
    "CenterNetHead": {"in_channel": 8, "feat_channel": 8, "num_classes": 3, "test_cfg": {"topk": 10}},
}
LEVELS = {"CenterNetHead": 1}


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
def test_border_of_a_padded_image_is_taken_off(name: str) -> None:
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
