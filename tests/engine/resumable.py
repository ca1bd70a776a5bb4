"""Configs of runs that must go on exactly; here, so that processes that are started anew can import them."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from small_detector import MODEL, NORM, TRAIN, small_config, subset

from raydet.config import Config, shipped_root

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
MASK_HEAD = dict(
    mask_roi_extractor=dict(
        type="SingleRoIExtractor",
        roi_layer=dict(type="RoIAlign", output_size=7, sampling_ratio=2),
        out_channels=16,
        featmap_strides=[4, 8, 16, 32],
    ),
    mask_head=dict(type="FCNMaskHead", num_convs=1, in_channels=16, conv_out_channels=8, num_classes=1),
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


def retinanet(folder: Path, interval: int = 1, images: int = 4, **changes: Any) -> Config:
    """Four epochs of two iterations, with a checkpoint every `interval` iterations."""
    return small_config(
        folder,
        images,
        **dict(
            model=RETINANET,
            evaluation=None,
            checkpoint_config=dict(interval=interval, by_epoch=False),
            runner=dict(type="EpochBasedRunner", max_epochs=4),
            optimizer_config=dict(grad_clip=dict(max_norm=1.0)),
        )
        | changes,
    )


def mask_rcnn(folder: Path, interval: int = 1, images: int = 4) -> Config:
    """A RoI head that draws samples at random, and masks from boxes that have become polygons."""
    model = copy.deepcopy(MODEL)
    model["type"] = "MaskRCNN"
    model["roi_head"].update(MASK_HEAD)
    model["train_cfg"]["rcnn"]["mask_size"] = 14
    model["test_cfg"]["rcnn"]["mask_thr_binary"] = 0.5
    cfg = retinanet(folder, interval, images, model=model)
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


def mixed_retinanet(folder: Path, interval: int = 1, images: int = 4) -> Config:
    """Mixed images and averaged weights; the last two epochs see plain images."""
    hooks = [
        dict(type="YOLOXModeSwitchHook", num_last_epochs=1, priority=48),
        dict(type="ExpMomentumEMAHook", total_iter=4, priority=49),
    ]
    cfg = retinanet(folder, interval, images, custom_hooks=hooks)
    inner = dict(cfg.data.train)
    inner["pipeline"] = [dict(type="LoadImageFromFile"), dict(type="LoadAnnotations", with_bbox=True)]
    cfg.data.train = dict(type="MultiImageMixDataset", dataset=inner, pipeline=MIXING)
    return cfg


def yolox(folder: Path, interval: int = 1, images: int = 4) -> Config:
    """Its own loss in the last epochs, and another size of images every third iteration."""
    cfg = mixed_retinanet(folder, interval, images)
    cfg.model = dict(
        type="YOLOX",
        backbone=dict(type="CSPDarknet", deepen_factor=0.33, widen_factor=0.125),
        neck=dict(type="YOLOXPAFPN", in_channels=[32, 64, 128], out_channels=8, num_csp_blocks=1),
        bbox_head=dict(type="YOLOXHead", num_classes=3, in_channels=8, feat_channels=8, stacked_convs=1),
        train_cfg=dict(assigner=dict(type="SimOTAAssigner")),
        test_cfg=dict(score_thr=0.01, nms=dict(type="nms", iou_threshold=0.65)),
        input_size=(64, 64),
        random_size_range=(1, 3),
        random_size_interval=3,
    )
    return cfg


def ddod(folder: Path, interval: int = 1, images: int = 4) -> Config:
    """A head that counts the objects of every level along the run."""
    head = copy.deepcopy(RETINANET["bbox_head"])
    head.update(type="DDODHead", use_dcn=False, norm_cfg=None, loss_bbox=dict(type="GIoULoss", loss_weight=2.0))
    head["anchor_generator"].update(scales=[1])  # several levels have objects
    train_cfg = {name: dict(type="ATSSAssigner", topk=9, alpha=0.8) for name in ("assigner", "reg_assigner")}
    return retinanet(folder, interval, images, model={**RETINANET, "bbox_head": head, "train_cfg": train_cfg})


# What is written once in YOLOX's recipe and makes it long; all else follows from it.
SHORTER = {
    "img_scale = (640, 640)": "img_scale = (160, 160)",
    "max_epochs = 300": "max_epochs = 3",
    "num_last_epochs = 15": "num_last_epochs = 1",
}


def yolox_tiny(folder: Path, interval: int = 1, images: int = 4) -> Config:
    """The shipped recipe with all its hooks: three epochs of eight iterations, the last two of plain images."""
    for part in ("_base_", "yolox"):
        shutil.copytree(shipped_root("configs") / part, folder / part, dirs_exist_ok=True)
    recipe = folder / "yolox" / "yolox_s_8x8_300e_coco.py"
    for usual, short in SHORTER.items():
        assert recipe.read_text().count(usual) == 1
        recipe.write_text(recipe.read_text().replace(usual, short))
    cfg = Config.fromfile(recipe.with_name("yolox_tiny_8x8_300e_coco.py"))
    cfg.model.random_size_range = (3, 6)
    cfg.model.bbox_head.num_classes = 1
    cfg.data.samples_per_gpu = 2
    cfg.data.train.dataset.update(subset(folder, "train", 4 * images))
    for part in ("val", "test"):
        cfg.data[part].update(subset(folder, "val", 3))
    cfg.checkpoint_config = dict(interval=interval, by_epoch=False, max_keep_ckpts=2)
    cfg.log_config.interval = 1
    cfg.log_level = "WARNING"
    cfg.seed = 3
    return cfg


CONFIGS: dict[str, Callable[..., Config]] = {
    "retinanet": retinanet,
    "mask_rcnn": mask_rcnn,
    "mixed_retinanet": mixed_retinanet,
    "yolox": yolox,
    "ddod": ddod,
}
RECIPES: dict[str, Callable[..., Config]] = {"yolox_tiny": yolox_tiny}
"""Those that take long even when they are short."""
