"""A detector and a data set that are real and small."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import raydet
from raydet.config import Config

ASSETS = Path(raydet.__file__).parent / "assets" / "neontrees"
NORM = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)

MODEL = dict(
    type="FasterRCNN",
    backbone=dict(type="ResNet", depth=18, base_channels=8, num_stages=4, out_indices=(0, 1, 2, 3), style="pytorch"),
    neck=dict(type="FPN", in_channels=[8, 16, 32, 64], out_channels=16, num_outs=5),
    rpn_head=dict(
        type="RPNHead",
        in_channels=16,
        feat_channels=16,
        anchor_generator=dict(type="AnchorGenerator", scales=[4], ratios=[0.5, 1.0, 2.0], strides=[4, 8, 16, 32, 64]),
        bbox_coder=dict(type="DeltaXYWHBBoxCoder"),
        loss_cls=dict(type="CrossEntropyLoss", use_sigmoid=True, loss_weight=1.0),
        loss_bbox=dict(type="L1Loss", loss_weight=1.0),
    ),
    roi_head=dict(
        type="StandardRoIHead",
        bbox_roi_extractor=dict(
            type="SingleRoIExtractor",
            roi_layer=dict(type="RoIAlign", output_size=7, sampling_ratio=2),
            out_channels=16,
            featmap_strides=[4, 8, 16, 32],
        ),
        bbox_head=dict(
            type="Shared2FCBBoxHead",
            in_channels=16,
            fc_out_channels=32,
            roi_feat_size=7,
            num_classes=1,
            bbox_coder=dict(type="DeltaXYWHBBoxCoder", target_stds=[0.1, 0.1, 0.2, 0.2]),
            loss_cls=dict(type="CrossEntropyLoss", use_sigmoid=False, loss_weight=1.0),
            loss_bbox=dict(type="L1Loss", loss_weight=1.0),
        ),
    ),
    train_cfg=dict(
        rpn=dict(
            assigner=dict(type="MaxIoUAssigner", pos_iou_thr=0.7, neg_iou_thr=0.3, min_pos_iou=0.3),
            sampler=dict(type="RandomSampler", num=32, pos_fraction=0.5, neg_pos_ub=-1, add_gt_as_proposals=False),
            allowed_border=-1,
            pos_weight=-1,
        ),
        rpn_proposal=dict(nms_pre=100, max_per_img=50, nms=dict(type="nms", iou_threshold=0.7), min_bbox_size=0),
        rcnn=dict(
            assigner=dict(type="MaxIoUAssigner", pos_iou_thr=0.5, neg_iou_thr=0.5, min_pos_iou=0.5),
            sampler=dict(type="RandomSampler", num=16, pos_fraction=0.25, neg_pos_ub=-1, add_gt_as_proposals=True),
            pos_weight=-1,
        ),
    ),
    test_cfg=dict(
        rpn=dict(nms_pre=50, max_per_img=20, nms=dict(type="nms", iou_threshold=0.7), min_bbox_size=0),
        rcnn=dict(score_thr=0.05, nms=dict(type="nms", iou_threshold=0.5), max_per_img=20),
    ),
)
TRAIN = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="Resize", img_scale=[(64, 48), (96, 64)], keep_ratio=True),
    dict(type="RandomFlip", flip_ratio=0.5),
    dict(type="Normalize", **NORM),
    dict(type="Pad", size_divisor=32),
    dict(type="DefaultFormatBundle"),
    dict(type="Collect", keys=["img", "gt_bboxes", "gt_labels"]),
]
TEST = [
    dict(type="LoadImageFromFile"),
    dict(
        type="MultiScaleFlipAug",
        img_scale=(96, 64),
        flip=False,
        transforms=[
            dict(type="Resize", keep_ratio=True),
            dict(type="RandomFlip"),
            dict(type="Normalize", **NORM),
            dict(type="Pad", size_divisor=32),
            dict(type="ImageToTensor", keys=["img"]),
            dict(type="Collect", keys=["img"]),
        ],
    ),
]


def subset(folder: Path, split: str, count: int) -> dict[str, Any]:
    """The first `count` images with objects of a split of the packaged data set, as arguments of `CocoDataset`."""
    annotations = json.loads((ASSETS / f"instances_{split}.json").read_text())
    with_objects = {each["image_id"] for each in annotations["annotations"]}
    images = [image for image in annotations["images"] if image["id"] in with_objects][:count]
    ids = {image["id"] for image in images}
    annotations["images"] = images
    annotations["annotations"] = [each for each in annotations["annotations"] if each["image_id"] in ids]
    path = folder / f"{split}.json"
    path.write_text(json.dumps(annotations))
    return dict(
        type="CocoDataset",
        ann_file=str(path),
        img_prefix=str(ASSETS / "images"),
        classes=tuple(category["name"] for category in annotations["categories"]),
    )


def small_config(folder: Path, images: int = 6, **changes: Any) -> Config:
    """Two epochs of three iterations, with evaluation after each; `changes` replace top-level keys."""
    folder.mkdir(parents=True, exist_ok=True)
    train, val = subset(folder, "train", images), subset(folder, "val", 3)
    values: dict[str, Any] = dict(
        model=MODEL,
        data=dict(
            samples_per_gpu=2,
            workers_per_gpu=0,
            train=dict(**train, pipeline=TRAIN),
            val=dict(**val, pipeline=TEST),
            test=dict(**val, pipeline=TEST),
        ),
        optimizer=dict(type="SGD", lr=0.01, momentum=0.9, weight_decay=0.0001),
        optimizer_config=dict(grad_clip=dict(max_norm=35, norm_type=2)),
        lr_config=dict(policy="step", warmup="linear", warmup_iters=3, warmup_ratio=0.01, step=[1]),
        runner=dict(type="EpochBasedRunner", max_epochs=2),
        checkpoint_config=dict(interval=1),
        log_config=dict(interval=1, hooks=[dict(type="TextLoggerHook")]),
        custom_hooks=[dict(type="NumClassCheckHook")],
        workflow=[("train", 1)],
        evaluation=dict(interval=1, metric="bbox"),
        load_from=None,
        resume_from=None,
        log_level="WARNING",
        seed=3,
    )
    values.update(changes)
    return Config(values)
