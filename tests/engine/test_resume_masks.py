"""A Mask R-CNN, whose RoI head draws samples at random, goes on exactly as well."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import torch
from interrupted_runs import Stop, interrupted, train
from small_detector import MODEL, TRAIN, small_config

from raydet.config import Config

MASK_HEAD = dict(
    mask_roi_extractor=dict(
        type="SingleRoIExtractor",
        roi_layer=dict(type="RoIAlign", output_size=7, sampling_ratio=2),
        out_channels=16,
        featmap_strides=[4, 8, 16, 32],
    ),
    mask_head=dict(type="FCNMaskHead", num_convs=1, in_channels=16, conv_out_channels=8, num_classes=1),
)


def masked_config(folder: Path) -> Config:
    """The small detector with masks, on boxes that have become polygons."""
    model = copy.deepcopy(MODEL)
    model["type"] = "MaskRCNN"
    model["roi_head"].update(MASK_HEAD)
    model["train_cfg"]["rcnn"]["mask_size"] = 14
    model["test_cfg"]["rcnn"]["mask_thr_binary"] = 0.5
    by_iteration = dict(interval=1, by_epoch=False)
    cfg = small_config(folder, images=4, model=model, evaluation=None, checkpoint_config=by_iteration)
    path = Path(cfg.data.train.ann_file)
    annotations = json.loads(path.read_text())
    for each in annotations["annotations"]:
        x, y, w, h = each["bbox"]
        each["segmentation"] = [[x, y, x + w, y, x + w, y + h, x, y + h]]
    path.write_text(json.dumps(annotations))
    pipeline = copy.deepcopy(TRAIN)
    pipeline[1]["with_mask"] = True
    pipeline[-1]["keys"] = ["img", "gt_bboxes", "gt_labels", "gt_masks"]
    cfg.data.train.pipeline = pipeline
    return cfg


def test_resume_of_a_mask_rcnn_in_mid_epoch_ends_bit_identical(tmp_path: Path) -> None:
    cfg = masked_config(tmp_path)
    whole = train(cfg, tmp_path / "whole")
    with pytest.raises(Stop):
        train(interrupted(cfg, 3), tmp_path / "work")
    resumed = train(cfg, tmp_path / "work", resume=True)
    different = [k for k, v in whole["state_dict"].items() if not torch.equal(v, resumed["state_dict"][k])]
    assert not different
    assert any("mask_head" in key for key in whole["state_dict"])
