"""What every registered detector promises."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

from raydet.detectors.losses import parse_losses
from raydet.registry import DETECTORS

NAMES = ["SingleStageDetector", "RetinaNet", "RPN", "TwoStageDetector", "FasterRCNN", "MaskRCNN", "FastRCNN", "YOLOX"]
DIFFERENT = [
    "RetinaNet",
    "RPN",
    "FastRCNN",
    "MaskRCNN",
    "KnowledgeDistillationSingleStageDetector",
    "LAD",
    "YOLOX",
    "SOLO",
    "YOLACT",
]
# The others are names for these.
UNCLIPPED = {"YOLOX"}  # detectors whose boxes may reach over the image, as in 2.x


def box_rows(result: Any) -> np.ndarray:
    boxes = result[0] if isinstance(result, tuple) else result
    return np.concatenate(boxes) if isinstance(boxes, list) else boxes


def test_every_registered_detector_has_a_tiny_config(tiny: Any) -> None:
    classes = {DETECTORS.get(name) for name in DETECTORS}  # many names stand for one class
    ours = {kind for kind in classes if str(getattr(kind, "__module__", "")).startswith("raydet.")}
    assert ours <= {DETECTORS.get(name) for name in tiny.CONFIGS}


@pytest.mark.parametrize("name", NAMES)
def test_detector_builds_from_its_type(name: str, tiny: Any) -> None:
    assert tiny.make(name).num_classes == (1 if name == "RPN" else tiny.NUM_CLASSES)


@pytest.mark.parametrize("num_boxes", [0, 2])
@pytest.mark.parametrize("name", DIFFERENT)
def test_loss_is_finite_and_reaches_every_parameter(name: str, num_boxes: int, tiny: Any) -> None:
    model = tiny.make(name)
    loss, log_vars = parse_losses(model(**tiny.training_batch(name, num_boxes=num_boxes)))
    loss.backward()
    assert all(np.isfinite(list(log_vars.values())))
    assert [key for key, p in model.named_parameters() if p.requires_grad and p.grad is None] == []


@pytest.mark.parametrize("name", DIFFERENT)
def test_loss_leaves_its_inputs_alone(name: str, tiny: Any) -> None:
    batch = tiny.training_batch(name)
    before = copy.deepcopy(batch)
    tiny.make(name)(**batch)
    assert torch.equal(batch["img"], before["img"])
    assert all(torch.equal(new, old) for new, old in zip(batch["gt_bboxes"], before["gt_bboxes"], strict=True))
    assert [sorted(new) for new in batch["img_metas"]] == [sorted(old) for old in before["img_metas"]]


@pytest.mark.parametrize("num_images", [1, 3])
@pytest.mark.parametrize("name", DIFFERENT)
def test_simple_test_gives_one_result_per_image(name: str, num_images: int, tiny: Any) -> None:
    metas = [tiny.meta(scale=2.0) for _ in range(num_images)]
    results = tiny.make(name)(
        img=[tiny.images(num_images)],
        img_metas=[metas],
        return_loss=False,
        rescale=True,
        **tiny.proposals_for(name, num_images),
    )
    assert len(results) == num_images
    for rows in map(box_rows, results):
        assert rows.shape[1] == 5
        assert len(rows) > 0
        assert name in UNCLIPPED or (rows[:, :4] >= 0).all()
        assert (rows[:, 2] <= 46).all()
        assert (rows[:, 3] <= 32).all()


@pytest.mark.parametrize("name", DIFFERENT)
def test_result_of_an_image_does_not_depend_on_its_batch(name: str, tiny: Any) -> None:
    model, both = tiny.make(name), tiny.images(2)
    results = []
    for some in (both, both[1:]):
        outside = [each[0] for each in tiny.proposals_for(name, len(some)).values()]
        results.append(model.simple_test(some, [tiny.meta()] * len(some), True, *outside))
    together, alone = results
    np.testing.assert_allclose(box_rows(together[1]), box_rows(alone[0]), atol=1e-3)


def test_losses_have_the_names_of_2x(tiny: Any) -> None:
    losses = tiny.make("MaskRCNN")(**tiny.training_batch("MaskRCNN"))
    assert set(losses) == {"loss_rpn_cls", "loss_rpn_bbox", "loss_cls", "acc", "loss_bbox", "loss_mask"}


def test_mask_result_has_a_mask_of_the_original_size_for_every_box(tiny: Any) -> None:
    boxes, masks = tiny.make("MaskRCNN").simple_test(tiny.images(1), [tiny.meta(scale=2.0)], rescale=True)[0]
    assert [len(b) for b in boxes] == [len(m) for m in masks]
    assert {mask.shape for of_class in masks for mask in of_class} == {(32, 46)}
    assert all(mask.dtype == bool for of_class in masks for mask in of_class)


def test_detector_without_detections_gives_empty_arrays(tiny: Any) -> None:
    cfg = tiny.CONFIGS["MaskRCNN"]["test_cfg"]
    model = tiny.make("MaskRCNN", test_cfg={**cfg, "rcnn": {**cfg["rcnn"], "score_thr": 1.1}})
    boxes, masks = model.simple_test(tiny.images(1), [tiny.meta()])[0]
    assert [b.shape for b in boxes] == [(0, 5)] * tiny.NUM_CLASSES
    assert masks == [[], [], []]


def test_fast_rcnn_without_proposals_says_what_is_missing(tiny: Any) -> None:
    batch = tiny.training_batch("FastRCNN")
    del batch["proposals"]
    with pytest.raises(ValueError, match="LoadProposals"):
        tiny.make("FastRCNN")(**batch)


def test_teacher_is_neither_saved_nor_trained_and_is_loaded_when_training_needs_it(tiny: Any, tmp_path: Any) -> None:
    name = "KnowledgeDistillationSingleStageDetector"
    teacher = tiny.make("SingleStageDetector", **tiny.CONFIGS[name]["teacher_config"]["model"])
    torch.save({"state_dict": teacher.state_dict()}, tmp_path / "teacher.pth")
    model = tiny.make(name, teacher_ckpt=str(tmp_path / "teacher.pth")).train()
    assert not any("teacher" in key for key in model.state_dict())
    model(**tiny.training_batch(name))
    loaded = model.teacher_model.state_dict()
    assert all(torch.equal(value, loaded[key]) for key, value in teacher.state_dict().items())
    assert not model.teacher_model.training
