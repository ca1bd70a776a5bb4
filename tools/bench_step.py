"""Time a training step (forward, losses, backward, SGD) against torchvision's models of the same shape.

    python tools/bench_step.py [--models retinanet faster_rcnn] [--steps 10] [--device cuda] [--threads 1]

Both sides run in one process on the same random images and boxes, step about, so that a busy machine slows both.
On a CPU the clock is processor time, on an accelerator wall time around a synchronisation. Torchvision's resizing is
avoided by images of the right size; backbones have frozen batch norm and a frozen first stage on both sides; anchors
per cell, pre- and post-NMS numbers and sampling numbers are equal.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN, RetinaNet
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops import FrozenBatchNorm2d, MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from raydet.models import build_detector

NUM_CLASSES = 80
SIZE = (320, 448)
BACKBONE = {
    "type": "ResNet",
    "depth": 50,
    "num_stages": 4,
    "out_indices": (0, 1, 2, 3),
    "frozen_stages": 1,
    "norm_cfg": {"type": "BN", "requires_grad": False},
    "norm_eval": True,
    "style": "pytorch",
}
FPN = {"type": "FPN", "in_channels": [256, 512, 1024, 2048], "out_channels": 256, "num_outs": 5}
CODER = {"type": "DeltaXYWHBBoxCoder", "target_means": [0.0] * 4, "target_stds": [1.0] * 4}
L1 = {"type": "L1Loss", "loss_weight": 1.0}
NMS = {"type": "nms", "iou_threshold": 0.7}


def assigner(pos: float, neg: float, low: float, match_low_quality: bool = True) -> dict[str, Any]:
    return {
        "type": "MaxIoUAssigner",
        "pos_iou_thr": pos,
        "neg_iou_thr": neg,
        "min_pos_iou": low,
        "match_low_quality": match_low_quality,
    }


def sampler(num: int, pos_fraction: float, with_truths: bool) -> dict[str, Any]:
    return {
        "type": "RandomSampler",
        "num": num,
        "pos_fraction": pos_fraction,
        "neg_pos_ub": -1,
        "add_gt_as_proposals": with_truths,
    }


RETINANET = {
    "type": "RetinaNet",
    "backbone": BACKBONE,
    "neck": {**FPN, "start_level": 1, "add_extra_convs": "on_output", "relu_before_extra_convs": True},
    "bbox_head": {
        "type": "RetinaHead",
        "num_classes": NUM_CLASSES,
        "in_channels": 256,
        "bbox_coder": CODER,
        "loss_cls": {"type": "FocalLoss", "use_sigmoid": True, "gamma": 2.0, "alpha": 0.25, "loss_weight": 1.0},
        "loss_bbox": L1,
    },
    "train_cfg": {"assigner": assigner(0.5, 0.4, 0)},
}
FASTER_RCNN = {
    "type": "FasterRCNN",
    "backbone": BACKBONE,
    "neck": FPN,
    "rpn_head": {
        "type": "RPNHead",
        "in_channels": 256,
        "anchor_generator": {
            "type": "AnchorGenerator",
            "scales": [8],
            "ratios": [0.5, 1.0, 2.0],
            "strides": [4, 8, 16, 32, 64],
        },
        "bbox_coder": CODER,
        "loss_bbox": L1,
    },
    "roi_head": {
        "type": "StandardRoIHead",
        "bbox_roi_extractor": {
            "type": "SingleRoIExtractor",
            "roi_layer": {"type": "RoIAlign", "output_size": 7, "sampling_ratio": 2},
            "out_channels": 256,
            "featmap_strides": [4, 8, 16, 32],
        },
        "bbox_head": {"type": "Shared2FCBBoxHead", "num_classes": NUM_CLASSES, "loss_bbox": L1},
    },
    "train_cfg": {
        "rpn": {"assigner": assigner(0.7, 0.3, 0.3), "sampler": sampler(256, 0.5, False)},
        "rpn_proposal": {"nms_pre": 2000, "max_per_img": 1000, "nms": NMS, "min_bbox_size": 0},
        "rcnn": {"assigner": assigner(0.5, 0.5, 0.5, False), "sampler": sampler(512, 0.25, True)},
    },
    "test_cfg": {"rpn": {"nms_pre": 1000, "max_per_img": 1000, "nms": NMS}, "rcnn": {"score_thr": 0.05, "nms": NMS}},
}


def torchvision_retinanet() -> nn.Module:
    backbone = resnet_fpn_backbone(
        backbone_name="resnet50",
        weights=None,
        norm_layer=FrozenBatchNorm2d,
        trainable_layers=3,
        returned_layers=[2, 3, 4],
        extra_blocks=LastLevelP6P7(256, 256),
    )
    model: nn.Module = RetinaNet(backbone, NUM_CLASSES, min_size=SIZE[0], max_size=SIZE[1])
    return model


def torchvision_faster_rcnn() -> nn.Module:
    backbone = resnet_fpn_backbone(
        backbone_name="resnet50", weights=None, norm_layer=FrozenBatchNorm2d, trainable_layers=3
    )
    model: nn.Module = FasterRCNN(
        backbone,
        NUM_CLASSES + 1,
        min_size=SIZE[0],
        max_size=SIZE[1],
        rpn_pre_nms_top_n_train=2000,
        rpn_post_nms_top_n_train=1000,
        box_roi_pool=MultiScaleRoIAlign(["0", "1", "2", "3"], 7, 2),
    )
    return model


PAIRS: dict[str, tuple[dict[str, Any], Callable[[], nn.Module]]] = {
    "retinanet": (RETINANET, torchvision_retinanet),
    "faster_rcnn": (FASTER_RCNN, torchvision_faster_rcnn),
}


def make_batch(device: str, num_images: int = 2, num_boxes: int = 7) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(num_images, 3, *SIZE, generator=generator)
    boxes, labels = [], []
    for _ in range(num_images):
        corner = torch.rand(num_boxes, 2, generator=generator) * torch.tensor([SIZE[1], SIZE[0]]) * 0.6
        extent = (0.05 + 0.35 * torch.rand(num_boxes, 2, generator=generator)) * torch.tensor([SIZE[1], SIZE[0]])
        boxes.append(torch.cat([corner, corner + extent], dim=1).to(device))
        labels.append(torch.randint(NUM_CLASSES, (num_boxes,), generator=generator).to(device))
    return images.to(device), boxes, labels


def raydet_step(model: nn.Module, images: Tensor, boxes: list[Tensor], labels: list[Tensor]) -> Tensor:
    meta = {"img_shape": (*SIZE, 3), "pad_shape": (*SIZE, 3), "ori_shape": (*SIZE, 3), "scale_factor": 1.0}
    losses = model(img=images, img_metas=[meta] * len(images), gt_bboxes=boxes, gt_labels=labels)
    return torch.stack([value for name, value in losses.items() if "loss" in name]).sum()


def torchvision_step(model: nn.Module, images: Tensor, boxes: list[Tensor], labels: list[Tensor]) -> Tensor:
    targets = [{"boxes": b, "labels": k} for b, k in zip(boxes, labels, strict=True)]
    return torch.stack(list(model(list(images), targets).values())).sum()


def step_timer(model: nn.Module, loss: Callable[..., Tensor], device: str) -> Callable[[], float]:
    """A function that trains one step and returns the seconds it took."""
    model.to(device).train()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-4, momentum=0.9)
    batch = make_batch(device)
    on_cpu = device == "cpu"
    clock = time.process_time if on_cpu else time.perf_counter

    def run() -> float:
        start = clock()
        optimizer.zero_grad()
        torch.autograd.backward(loss(model, *batch))
        optimizer.step()
        if not on_cpu:
            torch.cuda.synchronize()
        return clock() - start

    return run


def compare(name: str, steps: int, warmup: int, device: str) -> float:
    """Print both medians and return their ratio, raydet over torchvision."""
    torch.manual_seed(0)
    cfg, other = PAIRS[name]
    model = build_detector(cfg)
    model.init_weights()
    sides = {
        "raydet": step_timer(model, raydet_step, device),
        "torchvision": step_timer(other(), torchvision_step, device),
    }
    times: dict[str, list[float]] = {side: [] for side in sides}
    for step in range(warmup + steps):
        for side, run in sides.items():
            seconds = run()
            if step >= warmup:
                times[side].append(seconds)
    medians = {side: statistics.median(values) for side, values in times.items()}
    ratio = medians["raydet"] / medians["torchvision"]
    print(
        f"{name}: " + ", ".join(f"{k} {v * 1000:.1f} ms" for k, v in medians.items()) + f", ratio {ratio:.3f}",
        flush=True,
    )
    return ratio


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list(PAIRS), choices=list(PAIRS))
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, {options.device}, {options.threads} threads, {options.steps} steps a side")
    for name in options.models:
        compare(name, options.steps, options.warmup, options.device)


if __name__ == "__main__":
    main()
