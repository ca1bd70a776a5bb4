"""The 2.x calls of a detector."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import config, images, meta, training_batch

from raydet.detectors.losses import parse_losses
from raydet.models import build_detector


def test_train_step_returns_loss_log_vars_and_number_of_samples(make: Callable[..., Any]) -> None:
    step = make("RetinaNet").train_step(training_batch("RetinaNet"), None)
    assert step["num_samples"] == 2
    assert set(step["log_vars"]) == {"loss_cls", "loss_bbox", "loss"}
    assert step["log_vars"]["loss"] == pytest.approx(step["loss"].item())


def test_val_step_marks_its_names(make: Callable[..., Any]) -> None:
    step = make("RetinaNet").val_step(training_batch("RetinaNet"), None)
    assert set(step["log_vars"]) == {"loss_cls_val", "loss_bbox_val", "loss_val"}


def test_parse_losses_adds_lists_and_leaves_accuracy_out_of_the_total() -> None:
    losses = {"loss_a": [torch.tensor(1.0), torch.tensor([2.0, 4.0])], "b_loss": torch.tensor(0.5), "acc": torch.ones(1)}
    total, log_vars = parse_losses(losses)
    assert total.item() == 4.5
    assert log_vars == {"loss_a": 4.0, "b_loss": 0.5, "acc": 1.0, "loss": 4.5}


def test_parse_losses_names_an_entry_that_is_no_tensor() -> None:
    with pytest.raises(TypeError, match="'loss_a' must be a tensor or a list of tensors, got float"):
        parse_losses({"loss_a": 1.0})


def test_training_call_with_wrong_number_of_boxes_names_the_argument(make: Callable[..., Any]) -> None:
    batch = training_batch("RetinaNet")
    with pytest.raises(ValueError, match="2 images needs as many gt_bboxes, got 1"):
        make("RetinaNet")(**{**batch, "gt_bboxes": batch["gt_bboxes"][:1]})


def test_test_call_without_lists_says_so(make: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match="img must be a list"):
        make("RetinaNet")(img=images(1), img_metas=[[meta()]], return_loss=False)


def test_test_call_with_augmented_batch_is_refused(make: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="one image at a time"):
        make("RetinaNet")(img=[images(2)] * 2, img_metas=[[meta()] * 2] * 2, return_loss=False)


def test_properties_say_what_a_detector_has(make: Callable[..., Any]) -> None:
    names = ("with_neck", "with_bbox", "with_mask", "with_shared_head")
    assert [getattr(make("MaskRCNN"), name) for name in names] == [True, True, True, False]
    assert [getattr(make("RetinaNet"), name) for name in names] == [True, True, False, False]


def test_extract_feat_gives_one_map_per_level(make: Callable[..., Any]) -> None:
    feats = make("RetinaNet").extract_feat(images(1))
    assert [tuple(f.shape) for f in feats] == [(1, 8, 8, 12), (1, 8, 4, 6), (1, 8, 2, 3), (1, 8, 1, 2), (1, 8, 1, 1)]
    assert len(make("RetinaNet").extract_feats([images(1), images(2)])) == 2


@pytest.mark.parametrize("name", ["RetinaNet", "RPN", "FasterRCNN"])
def test_forward_dummy_runs_the_heads(name: str, make: Callable[..., Any]) -> None:
    with torch.no_grad():
        assert len(make(name).forward_dummy(images(1))) == 2


def test_pretrained_is_passed_to_the_backbone_with_a_warning() -> None:
    with pytest.warns(DeprecationWarning, match="init_cfg of the backbone"):
        model = build_detector({**config("RetinaNet"), "pretrained": "missing.pth"})
    assert model.backbone.init_cfg == {"type": "Pretrained", "checkpoint": "missing.pth"}


def test_mask_head_without_gt_masks_says_how_to_load_them(make: Callable[..., Any]) -> None:
    batch = training_batch("MaskRCNN")
    del batch["gt_masks"]
    with pytest.raises(ValueError, match="with_mask=True"):
        make("MaskRCNN")(**batch)


def test_random_samples_follow_the_seed(make: Callable[..., Any]) -> None:
    model, values = make("FasterRCNN"), []
    for _ in range(2):
        torch.manual_seed(7)
        values.append(model.train_step(training_batch("FasterRCNN"), None)["log_vars"])
    assert values[0] == values[1]
    assert np.isfinite(values[0]["loss"])
