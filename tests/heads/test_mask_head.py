"""The convolutional mask head."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from raydet.heads.mask.fcn import FCNMaskHead

SMALL: dict[str, Any] = {"num_convs": 1, "in_channels": 4, "conv_out_channels": 4, "num_classes": 3}


@pytest.mark.parametrize("kind", ["deconv", "nearest", "bilinear"])
def test_upsampling_doubles_the_size(kind: str) -> None:
    head = FCNMaskHead(**SMALL, upsample_cfg={"type": kind, "scale_factor": 2})
    head.init_weights()
    assert head(torch.zeros(2, 4, 14, 14)).shape == (2, 3, 28, 28)


def test_no_upsampling_keeps_the_size() -> None:
    head = FCNMaskHead(**SMALL, upsample_cfg={"type": None}, class_agnostic=True)
    assert head(torch.zeros(2, 4, 14, 14)).shape == (2, 1, 14, 14)


def test_unknown_upsampling_is_refused() -> None:
    with pytest.raises(ValueError, match=r"upsample_cfg.type must be one of .* got 'cubic'"):
        FCNMaskHead(upsample_cfg={"type": "cubic"})


@pytest.mark.parametrize("num", [0, 2])
def test_loss_reaches_every_parameter(num: int) -> None:
    head = FCNMaskHead(**SMALL)
    loss = head.loss(head(torch.randn(num, 4, 14, 14)), torch.zeros(num, 28, 28), torch.zeros(num, dtype=torch.long))
    loss["loss_mask"].backward()
    assert torch.isfinite(loss["loss_mask"])
    assert all(p.grad is not None for p in head.parameters())


def test_mask_of_the_class_is_pasted_into_its_box() -> None:
    head = FCNMaskHead(**SMALL)
    masks = torch.zeros(1, 3, 4, 4)
    masks[:, 2] = 1
    pasted = head.paste(masks, torch.tensor([[2.0, 1, 6, 5]]), torch.tensor([2]), (8, 10), 0.5)
    expected = np.zeros((1, 8, 10), dtype=bool)
    expected[0, 1:5, 2:6] = True
    np.testing.assert_array_equal(pasted, expected)


def test_negative_threshold_gives_probabilities_as_bytes() -> None:
    masks = torch.full((1, 3, 4, 4), 0.5)
    pasted = FCNMaskHead(**SMALL).paste(masks, torch.tensor([[0.0, 0, 8, 8]]), torch.tensor([0]), (8, 8), -1)
    assert pasted.dtype == np.uint8
    assert pasted[0, 4, 4] == 127


def test_no_detections_give_no_masks() -> None:
    pasted = FCNMaskHead(**SMALL).paste(torch.zeros(0, 3, 4, 4), torch.zeros(0, 4), torch.zeros(0).long(), (8, 8), 0.5)
    assert pasted.shape == (0, 8, 8)


def test_masks_of_2x_are_grouped_by_class() -> None:
    head = FCNMaskHead(**SMALL)
    logits, boxes = torch.full((2, 3, 4, 4), 5.0), torch.tensor([[0.0, 0, 8, 8], [4, 4, 12, 12]])
    grouped = head.get_seg_masks(logits, boxes, torch.tensor([2, 0]), {"mask_thr_binary": 0.5}, (8, 8), 2.0, False)
    assert [len(of_class) for of_class in grouped] == [1, 0, 1]
    assert grouped[0][0].shape == (16, 16)
