"""Small configs, batches and models for tests of whole detectors, handed out by the fixture `tiny`."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from raydet.models import build_detector
from raydet.structures import BitmapMasks

SIZE = (64, 96)
NUM_CLASSES = 3
BACKBONE = {"type": "ResNet", "depth": 18, "base_channels": 8, "norm_eval": True, "frozen_stages": -1}
NECK = {"type": "FPN", "in_channels": [8, 16, 32, 64], "out_channels": 8, "num_outs": 5}
NMS = {"type": "nms", "iou_threshold": 0.6}


def assigner(pos: float, neg: float, low: float) -> dict[str, Any]:
    return {"type": "MaxIoUAssigner", "pos_iou_thr": pos, "neg_iou_thr": neg, "min_pos_iou": low}


def sampler(num: int, with_truths: bool) -> dict[str, Any]:
    return {"type": "RandomSampler", "num": num, "pos_fraction": 0.5, "add_gt_as_proposals": with_truths}


RPN_TRAIN = {"assigner": assigner(0.7, 0.3, 0.3), "sampler": sampler(32, False), "allowed_border": 0}
RPN_TEST = {"nms_pre": 50, "max_per_img": 20, "nms": NMS, "min_bbox_size": 0}
RCNN_TRAIN = {"assigner": assigner(0.5, 0.5, 0.5), "sampler": sampler(16, True), "mask_size": 28}
RCNN_TEST = {"score_thr": 0.0, "nms": NMS, "max_per_img": 10, "mask_thr_binary": 0.5}
RPN_HEAD = {
    "type": "RPNHead",
    "in_channels": 8,
    "feat_channels": 8,
    "anchor_generator": {
        "type": "AnchorGenerator",
        "scales": [4],
        "ratios": [0.5, 1.0, 2.0],
        "strides": [4, 8, 16, 32, 64],
    },
}


def extractor(size: int) -> dict[str, Any]:
    return {
        "type": "SingleRoIExtractor",
        "roi_layer": {"type": "RoIAlign", "output_size": size, "sampling_ratio": 0},
        "out_channels": 8,
        "featmap_strides": [4, 8, 16, 32],
        "finest_scale": 16,
    }


ROI_HEAD = {
    "type": "StandardRoIHead",
    "bbox_roi_extractor": extractor(7),
    "bbox_head": {"type": "Shared2FCBBoxHead", "in_channels": 8, "fc_out_channels": 16, "num_classes": NUM_CLASSES},
}
MASK_ROI_HEAD = {
    **ROI_HEAD,
    "mask_roi_extractor": extractor(14),
    "mask_head": {
        "type": "FCNMaskHead",
        "num_convs": 1,
        "in_channels": 8,
        "conv_out_channels": 8,
        "num_classes": NUM_CLASSES,
    },
}
RETINA = {
    "backbone": BACKBONE,
    "neck": {**NECK, "start_level": 1, "add_extra_convs": "on_input"},
    "bbox_head": {
        "type": "RetinaHead",
        "num_classes": NUM_CLASSES,
        "in_channels": 8,
        "feat_channels": 8,
        "stacked_convs": 1,
        "loss_cls": {"type": "FocalLoss", "use_sigmoid": True},
    },
    "train_cfg": {"assigner": assigner(0.5, 0.4, 0)},
    "test_cfg": {"nms_pre": 50, "score_thr": 0.0, "nms": NMS, "max_per_img": 10},
}
GFL_HEAD = {
    "type": "GFLHead",
    "num_classes": NUM_CLASSES,
    "in_channels": 8,
    "feat_channels": 8,
    "stacked_convs": 1,
    "norm_cfg": {"type": "GN", "num_groups": 2},
    "anchor_generator": {
        "type": "AnchorGenerator",
        "octave_base_scale": 8,
        "scales_per_octave": 1,
        "ratios": [1.0],
        "strides": [8, 16, 32, 64, 128],
    },
    "loss_cls": {"type": "QualityFocalLoss", "use_sigmoid": True},
    "loss_bbox": {"type": "GIoULoss"},
}
ATSS = {"assigner": {"type": "ATSSAssigner", "topk": 9}}
LD_HEAD = {**GFL_HEAD, "type": "LDHead", "loss_ld": {"type": "KnowledgeDistillationKLDivLoss"}}
TEACHER = {**RETINA, "type": "GFL", "bbox_head": GFL_HEAD, "train_cfg": ATSS}
LAD_HEAD = {key: value for key, value in GFL_HEAD.items() if key != "loss_cls"} | {"type": "LADHead"}
YOLOX = {
    "backbone": {"type": "CSPDarknet", "deepen_factor": 0.33, "widen_factor": 0.125, "norm_eval": True},
    "neck": {"type": "YOLOXPAFPN", "in_channels": [32, 64, 128], "out_channels": 8, "num_csp_blocks": 1},
    "bbox_head": {
        "type": "YOLOXHead",
        "num_classes": NUM_CLASSES,
        "in_channels": 8,
        "feat_channels": 8,
        "stacked_convs": 1,
        "norm_cfg": {"type": "GN", "num_groups": 2},
    },
    "train_cfg": {"assigner": {"type": "SimOTAAssigner"}},
    "test_cfg": {"score_thr": 0.0, "nms": NMS, "max_per_img": 10},
    "input_size": SIZE,
    "random_size_range": (1, 2),
    "random_size_interval": 2,
}
SOLO = {
    "backbone": BACKBONE,
    "neck": NECK,
    "mask_head": {
        "type": "SOLOHead",
        "num_classes": NUM_CLASSES,
        "in_channels": 8,
        "feat_channels": 8,
        "stacked_convs": 1,
        "num_grids": [8, 6, 5, 4, 3],
        "norm_cfg": {"type": "GN", "num_groups": 2},
        "loss_mask": {"type": "DiceLoss"},
        "loss_cls": {"type": "FocalLoss", "use_sigmoid": True},
    },
    "test_cfg": {"score_thr": 0.0, "mask_thr": 0.0, "nms_pre": 50, "max_per_img": 10},
}
YOLACT = {
    "backbone": BACKBONE,
    "neck": RETINA["neck"],
    "bbox_head": {
        "type": "YOLACTHead",
        "num_classes": NUM_CLASSES,
        "in_channels": 8,
        "feat_channels": 8,
        "num_protos": 4,
    },
    "segm_head": {"type": "YOLACTSegmHead", "num_classes": NUM_CLASSES, "in_channels": 8},
    "mask_head": {
        "type": "YOLACTProtonet",
        "num_classes": NUM_CLASSES,
        "in_channels": 8,
        "proto_channels": (8, None, 4),
        "proto_kernel_sizes": (3, -2, 1),
        "num_protos": 4,
    },
    "train_cfg": {"assigner": assigner(0.5, 0.4, 0), "neg_pos_ratio": 3},
    "test_cfg": {"score_thr": 0.0, "iou_thr": 0.5, "top_k": 20, "max_per_img": 10},
}
TWO_STAGE = {
    "backbone": BACKBONE,
    "neck": NECK,
    "rpn_head": RPN_HEAD,
    "roi_head": ROI_HEAD,
    "train_cfg": {"rpn": RPN_TRAIN, "rpn_proposal": RPN_TEST, "rcnn": RCNN_TRAIN},
    "test_cfg": {"rpn": RPN_TEST, "rcnn": RCNN_TEST},
}
# Every name of the detector registry has its config here.
CONFIGS: dict[str, dict[str, Any]] = {
    "SingleStageDetector": RETINA,
    "RetinaNet": RETINA,
    "KnowledgeDistillationSingleStageDetector": {
        **RETINA,
        "bbox_head": LD_HEAD,
        "train_cfg": ATSS,
        "teacher_config": {"model": TEACHER},
    },
    "LAD": {
        **RETINA,
        "bbox_head": LAD_HEAD,
        "train_cfg": {"assigner": assigner(0.1, 0.1, 0)},
        "teacher_backbone": BACKBONE,
        "teacher_neck": RETINA["neck"],
        "teacher_bbox_head": LAD_HEAD,
        "teacher_ckpt": None,
    },
    "YOLOX": YOLOX,
    "SOLO": SOLO,
    "YOLACT": YOLACT,
    "RPN": {
        "backbone": BACKBONE,
        "neck": NECK,
        "rpn_head": RPN_HEAD,
        "train_cfg": {"rpn": RPN_TRAIN},
        "test_cfg": {"rpn": RPN_TEST},
    },
    "TwoStageDetector": TWO_STAGE,
    "FasterRCNN": TWO_STAGE,
    "MaskRCNN": {**TWO_STAGE, "roi_head": MASK_ROI_HEAD},
    "FastRCNN": {key: value for key, value in TWO_STAGE.items() if key != "rpn_head"},
}


def config(name: str) -> dict[str, Any]:
    return {"type": name, **CONFIGS[name]}


def meta(scale: float = 1.0, **changes: Any) -> dict[str, Any]:
    """Of an image that fills the input but for four columns on the right."""
    height, width = SIZE
    base = {
        "img_shape": (height, width - 4, 3),
        "pad_shape": (height, width, 3),
        "ori_shape": (round(height / scale), round((width - 4) / scale), 3),
        "scale_factor": np.full(4, scale, dtype=np.float32),
        "flip": False,
        "flip_direction": None,
    }
    return {**base, **changes}


def images(num: int, seed: int = 0) -> Tensor:
    return torch.randn(num, 3, *SIZE, generator=torch.Generator().manual_seed(seed))


def boxes(num: int) -> Tensor:
    corner = torch.arange(num)[:, None] * torch.tensor([9.0, 5.0]) + 2
    return torch.cat([corner, corner + torch.tensor([30.0, 24.0])], dim=1)


def training_batch(name: str, num_images: int = 2, num_boxes: int = 2) -> dict[str, Any]:
    """Arguments of a training call of the detector called `name`."""
    batch: dict[str, Any] = {
        "img": images(num_images),
        "img_metas": [meta() for _ in range(num_images)],
        "gt_bboxes": [boxes(num_boxes) for _ in range(num_images)],
    }
    if name != "RPN":
        batch["gt_labels"] = [torch.arange(num_boxes) % NUM_CLASSES for _ in range(num_images)]
    if name in ("MaskRCNN", "SOLO", "YOLACT"):
        bitmaps = np.zeros((num_boxes, *SIZE), dtype=np.uint8)
        bitmaps[:, 10:30, 10:30] = 1
        batch["gt_masks"] = [BitmapMasks(bitmaps, *SIZE) for _ in range(num_images)]
    if name == "FastRCNN":
        batch["proposals"] = [boxes(6) + 3 for _ in range(num_images)]
    return batch


def proposals_for(name: str, num_images: int) -> dict[str, Any]:
    """Arguments that a test call of the detector called `name` needs besides images."""
    return {"proposals": [[boxes(6) + 3 for _ in range(num_images)]]} if name == "FastRCNN" else {}


def make(name: str, **changes: Any) -> nn.Module:
    """The detector called `name`, with weights that depend on nothing but the seed."""
    torch.manual_seed(0)
    model = build_detector({**config(name), **changes})
    model.init_weights()
    return model.eval()


@pytest.fixture
def tiny() -> SimpleNamespace:
    return SimpleNamespace(
        CONFIGS=CONFIGS,
        NUM_CLASSES=NUM_CLASSES,
        config=config,
        images=images,
        make=make,
        meta=meta,
        proposals_for=proposals_for,
        training_batch=training_batch,
    )
