"""The 2.x calls of a detector."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from raydet.detectors.losses import parse_losses
from raydet.models import build_detector


def test_train_step_returns_loss_log_vars_and_number_of_samples(tiny: Any) -> None:
    step = tiny.make("RetinaNet").train_step(tiny.training_batch("RetinaNet"), None)
    assert step["num_samples"] == 2
    assert set(step["log_vars"]) == {"loss_cls", "loss_bbox", "loss"}
    assert step["log_vars"]["loss"] == pytest.approx(step["loss"].item())


def test_val_step_marks_its_names(tiny: Any) -> None:
    step = tiny.make("RetinaNet").val_step(tiny.training_batch("RetinaNet"), None)
    assert set(step["log_vars"]) == {"loss_cls_val", "loss_bbox_val", "loss_val"}


def test_parse_losses_adds_lists_and_leaves_accuracy_out_of_the_total() -> None:
    losses = {
        "loss_a": [torch.tensor(1.0), torch.tensor([2.0, 4.0])],
        "b_loss": torch.tensor(0.5),
        "acc": torch.ones(1),
    }
    total, log_vars = parse_losses(losses)
    assert total.item() == 4.5
    assert log_vars == {"loss_a": 4.0, "b_loss": 0.5, "acc": 1.0, "loss": 4.5}


def test_parse_losses_names_an_entry_that_is_no_tensor() -> None:
    with pytest.raises(TypeError, match="'loss_a' must be a tensor or a list of tensors, got float"):
        parse_losses({"loss_a": 1.0})


def test_training_call_with_wrong_number_of_boxes_names_the_argument(tiny: Any) -> None:
    batch = tiny.training_batch("RetinaNet")
    with pytest.raises(ValueError, match="2 images needs as many gt_bboxes, got 1"):
        tiny.make("RetinaNet")(**{**batch, "gt_bboxes": batch["gt_bboxes"][:1]})


def test_test_call_without_lists_says_so(tiny: Any) -> None:
    with pytest.raises(TypeError, match="img must be a list"):
        tiny.make("RetinaNet")(img=tiny.images(1), img_metas=[[tiny.meta()]], return_loss=False)


def test_test_call_with_augmented_batch_is_refused(tiny: Any) -> None:
    with pytest.raises(ValueError, match="one image at a time"):
        tiny.make("RetinaNet")(img=[tiny.images(2)] * 2, img_metas=[[tiny.meta()] * 2] * 2, return_loss=False)


def test_properties_say_what_a_detector_has(tiny: Any) -> None:
    names = ("with_neck", "with_bbox", "with_mask", "with_shared_head")
    assert [getattr(tiny.make("MaskRCNN"), name) for name in names] == [True, True, True, False]
    assert [getattr(tiny.make("RetinaNet"), name) for name in names] == [True, True, False, False]


def test_extract_feat_gives_one_map_per_level(tiny: Any) -> None:
    feats = tiny.make("RetinaNet").extract_feat(tiny.images(1))
    assert [tuple(f.shape) for f in feats] == [(1, 8, 8, 12), (1, 8, 4, 6), (1, 8, 2, 3), (1, 8, 1, 2), (1, 8, 1, 1)]
    assert len(tiny.make("RetinaNet").extract_feats([tiny.images(1), tiny.images(2)])) == 2


@pytest.mark.parametrize("name", ["RetinaNet", "RPN", "FasterRCNN"])
def test_forward_dummy_runs_the_heads(name: str, tiny: Any) -> None:
    with torch.no_grad():
        assert len(tiny.make(name).forward_dummy(tiny.images(1))) == 2


def test_pretrained_is_passed_to_the_backbone_with_a_warning(tiny: Any) -> None:
    with pytest.warns(DeprecationWarning, match="init_cfg of the backbone"):
        model = build_detector({**tiny.config("RetinaNet"), "pretrained": "missing.pth"})
    assert model.backbone.init_cfg == {"type": "Pretrained", "checkpoint": "missing.pth"}


def test_mask_head_without_gt_masks_says_how_to_load_them(tiny: Any) -> None:
    batch = tiny.training_batch("MaskRCNN")
    del batch["gt_masks"]
    with pytest.raises(ValueError, match="with_mask=True"):
        tiny.make("MaskRCNN")(**batch)


def test_random_samples_follow_the_seed(tiny: Any) -> None:
    model, values = tiny.make("FasterRCNN"), []
    for _ in range(2):
        torch.manual_seed(7)
        values.append(model.train_step(tiny.training_batch("FasterRCNN"), None)["log_vars"])
    assert values[0] == values[1]
    assert np.isfinite(values[0]["loss"])


def test_show_result_draws_on_the_image(tiny: Any) -> None:
    model, image = tiny.make("RetinaNet"), np.zeros((64, 96, 3), dtype=np.uint8)
    model.CLASSES = ("a", "b", "c")
    result = [np.array([[10, 10, 40, 40, 0.9]], dtype=np.float32), np.zeros((0, 5)), np.zeros((0, 5))]
    drawn = model.show_result(image, result, score_thr=0.5)
    assert drawn.shape == image.shape
    assert drawn.any()


def test_list_of_necks_is_run_in_turn(tiny: Any) -> None:
    neck = tiny.CONFIGS["RetinaNet"]["neck"]
    mapper = {"type": "ChannelMapper", "in_channels": [8] * 5, "out_channels": 8}
    model = tiny.make("RetinaNet", neck=[neck, mapper])
    assert {"neck.0.fpn_convs.0.conv.weight", "neck.1.convs.4.conv.weight"} <= set(model.state_dict())
    images = tiny.images(1)
    expected = model.neck[1](model.neck[0](model.backbone(images)))
    assert all(torch.equal(one, other) for one, other in zip(model.extract_feat(images), expected, strict=True))
