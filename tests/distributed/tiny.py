"""A config that trains a very small RetinaNet on the generated COCO set."""

import json

import cv2
import numpy as np

from raydet.config import Config

NORM = {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375], "to_rgb": True}
TRAIN = [
    {"type": "LoadImageFromFile"},
    {"type": "LoadAnnotations", "with_bbox": True},
    {"type": "Resize", "img_scale": (96, 64), "keep_ratio": True},
    {"type": "RandomFlip", "flip_ratio": 0.5},
    {"type": "Normalize", **NORM},
    {"type": "Pad", "size_divisor": 32},
    {"type": "DefaultFormatBundle"},
    {"type": "Collect", "keys": ["img", "gt_bboxes", "gt_labels"]},
]
TEST = [
    {"type": "LoadImageFromFile"},
    {
        "type": "MultiScaleFlipAug",
        "img_scale": (96, 64),
        "flip": False,
        "transforms": [
            {"type": "Resize", "keep_ratio": True},
            {"type": "RandomFlip"},
            {"type": "Normalize", **NORM},
            {"type": "Pad", "size_divisor": 32},
            {"type": "ImageToTensor", "keys": ["img"]},
            {"type": "Collect", "keys": ["img"]},
        ],
    },
]
MODEL = {
    "type": "RetinaNet",
    "backbone": {
        "type": "ResNet",
        "depth": 18,
        "base_channels": 8,
        "num_stages": 4,
        "out_indices": (1, 2, 3),
        "norm_cfg": {"type": "BN", "requires_grad": True},
        "style": "pytorch",
    },
    "neck": {"type": "FPN", "in_channels": [16, 32, 64], "out_channels": 16, "num_outs": 3},
    "bbox_head": {
        "type": "RetinaHead",
        "num_classes": 2,
        "in_channels": 16,
        "stacked_convs": 1,
        "feat_channels": 16,
        "anchor_generator": {
            "type": "AnchorGenerator",
            "octave_base_scale": 4,
            "scales_per_octave": 1,
            "ratios": [1.0],
            "strides": [8, 16, 32],
        },
        "bbox_coder": {
            "type": "DeltaXYWHBBoxCoder",
            "target_means": [0.0, 0.0, 0.0, 0.0],
            "target_stds": [1.0, 1.0, 1.0, 1.0],
        },
        "loss_cls": {"type": "FocalLoss", "use_sigmoid": True, "gamma": 2.0, "alpha": 0.25, "loss_weight": 1.0},
        "loss_bbox": {"type": "L1Loss", "loss_weight": 1.0},
    },
    "train_cfg": {
        "assigner": {
            "type": "MaxIoUAssigner",
            "pos_iou_thr": 0.5,
            "neg_iou_thr": 0.4,
            "min_pos_iou": 0,
            "ignore_iof_thr": -1,
        },
        "allowed_border": -1,
        "pos_weight": -1,
        "debug": False,
    },
    "test_cfg": {
        "nms_pre": 100,
        "min_bbox_size": 0,
        "score_thr": 0.0,
        "nms": {"type": "nms", "iou_threshold": 0.5},
        "max_per_img": 20,
    },
}


def tiny_config(annotations, images, max_epochs=2, **more):
    """Two images per step, a checkpoint after every epoch, an evaluation at the end."""
    section = {"type": "CocoDataset", "ann_file": annotations, "img_prefix": images, "classes": ("blue", "green")}
    return Config(
        {
            "model": MODEL,
            "data": {
                "samples_per_gpu": 2,
                "workers_per_gpu": 1,
                "train": {**section, "pipeline": TRAIN},
                "val": {**section, "pipeline": TEST},
                "test": {**section, "pipeline": TEST},
            },
            "evaluation": {"interval": max_epochs, "metric": "bbox"},
            "optimizer": {"type": "SGD", "lr": 0.01, "momentum": 0.9, "weight_decay": 0.0001},
            "optimizer_config": {"grad_clip": None},
            "lr_config": {"policy": "step", "warmup": "linear", "warmup_iters": 4, "warmup_ratio": 0.1, "step": [8]},
            "runner": {"type": "EpochBasedRunner", "max_epochs": max_epochs},
            "checkpoint_config": {"interval": 1},
            "log_config": {"interval": 4, "hooks": [{"type": "TextLoggerHook"}]},
            "custom_hooks": [],
            "log_level": "INFO",
            "load_from": None,
            "resume_from": None,
            "workflow": [("train", 1)],
            "seed": 7,
            **more,
        }
    )


def tiny_coco(folder):
    """Make a COCO set of 24 images: the paths of its annotation file and of its image folder."""
    random = np.random.default_rng(0)
    images, annotations = [], []
    for index in range(24):
        height, width = (64, 96) if index % 3 else (96, 64)
        canvas = random.integers(0, 60, (height, width, 3)).astype(np.uint8)
        images.append({"id": index, "file_name": f"{index}.png", "height": height, "width": width})
        for label in (0, 1)[: 1 + index % 2]:
            x, y, size = (int(value) for value in (*random.integers(2, 30, 2), random.integers(20, 30)))
            canvas[y : y + size, x : x + size, label] = 255
            box = {"id": len(annotations), "image_id": index, "category_id": label + 1, "bbox": [x, y, size, size]}
            annotations.append({**box, "area": size * size, "iscrowd": 0})
        cv2.imwrite(str(folder / f"{index}.png"), canvas)
    categories = [{"id": 1, "name": "blue"}, {"id": 2, "name": "green"}]
    path = folder / "train.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return str(path), str(folder)
