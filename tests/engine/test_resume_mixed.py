"""Runs on mixed images, with averaged weights and a switch of the pipeline near the end, go on exactly as well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from interrupted_runs import Stop, interrupted, train
from small_detector import NORM, small_config

from raydet.config import Config

RETINANET = dict(
    type="RetinaNet",
    backbone=dict(type="ResNet", depth=18, base_channels=8, num_stages=4, out_indices=(0, 1, 2, 3), style="pytorch"),
    neck=dict(type="FPN", in_channels=[8, 16, 32, 64], out_channels=8, start_level=1, num_outs=4),
    bbox_head=dict(
        type="RetinaHead",
        num_classes=1,
        in_channels=8,
        feat_channels=8,
        stacked_convs=1,
        anchor_generator=dict(type="AnchorGenerator", scales=[2, 4], ratios=[1.0], strides=[8, 16, 32, 64]),
        bbox_coder=dict(type="DeltaXYWHBBoxCoder"),
        loss_cls=dict(type="FocalLoss", use_sigmoid=True, loss_weight=1.0),
        loss_bbox=dict(type="L1Loss", loss_weight=1.0),
    ),
    train_cfg=dict(
        assigner=dict(type="MaxIoUAssigner", pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0),
        allowed_border=-1,
        pos_weight=-1,
    ),
    test_cfg=dict(nms_pre=10, min_bbox_size=0, score_thr=0.05, nms=dict(type="nms", iou_threshold=0.5), max_per_img=5),
)
MIXING = [
    dict(type="Mosaic", img_scale=(64, 64), pad_val=114.0),
    dict(type="RandomAffine", scaling_ratio_range=(0.5, 1.5), border=(-32, -32)),
    dict(type="MixUp", img_scale=(64, 64), ratio_range=(0.8, 1.6), pad_val=114.0),
    dict(type="RandomFlip", flip_ratio=0.5),
    dict(type="Resize", img_scale=(64, 64), keep_ratio=True),
    dict(type="Normalize", **NORM),
    dict(type="Pad", size_divisor=32),
    dict(type="DefaultFormatBundle"),
    dict(type="Collect", keys=["img", "gt_bboxes", "gt_labels"]),
]


def mixed_config(folder: Path, **changes: Any) -> Config:
    """Four epochs of two iterations; the last two see plain images."""
    cfg = small_config(
        folder,
        images=4,
        model=RETINANET,
        evaluation=None,
        checkpoint_config=dict(interval=1, by_epoch=False),
        runner=dict(type="EpochBasedRunner", max_epochs=4),
        optimizer_config=dict(grad_clip=dict(max_norm=1.0)),
        custom_hooks=[
            dict(type="YOLOXModeSwitchHook", num_last_epochs=1, priority=48),
            dict(type="ExpMomentumEMAHook", total_iter=4, priority=49),
        ],
        **changes,
    )
    inner = dict(cfg.data.train)
    inner["pipeline"] = [dict(type="LoadImageFromFile"), dict(type="LoadAnnotations", with_bbox=True)]
    cfg.data.train = dict(type="MultiImageMixDataset", dataset=inner, pipeline=MIXING)
    return cfg


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("mixed")
    return train(mixed_config(folder), folder / "work")


@pytest.mark.parametrize("at", [3, 4, 7])
def test_resume_before_at_and_after_the_switch_ends_bit_identical(
    at: int, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    cfg = mixed_config(tmp_path)
    with pytest.raises(Stop):
        train(interrupted(cfg, at), tmp_path / "work")
    resumed = train(cfg, tmp_path / "work", resume=True)
    assert undisturbed["state_dict"].keys() == resumed["state_dict"].keys()
    assert any(key.startswith("ema_") for key in resumed["state_dict"])
    different = [k for k, v in undisturbed["state_dict"].items() if not torch.equal(v, resumed["state_dict"][k])]
    assert not different
