"""The models that `tools/bench_step.py` times, and other libraries' models of the same shape and settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torchvision.models.detection import FCOS, FasterRCNN, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops import FrozenBatchNorm2d, MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from raydet.config import Config
from raydet.detectors import BaseDetector
from raydet.models import build_detector

ROOT = Path(__file__).resolve().parents[1]
NUM_CLASSES = 80
FROZEN = {
    "backbone.style": "pytorch",
    "backbone.norm_cfg": {"type": "BN", "requires_grad": False},
    "backbone.init_cfg": None,
}
SINGLE = {**FROZEN, "neck.add_extra_convs": "on_output", "neck.relu_before_extra_convs": True}

Size = tuple[int, int]
Truths = tuple[list[Tensor], list[Tensor]]
"""Boxes `(G, 4)` and labels `(G,)` of each image."""


class Peer(NamedTuple):
    """Somebody else's model.

    Attributes:
        name: of the library.
        build: makes the model for images of a size.
        loss: sum of its losses from `(model, images, truths)`.
    """

    name: str
    build: Callable[[Size], nn.Module]
    loss: Callable[[nn.Module, Tensor, Truths], Tensor]


class Pair(NamedTuple):
    """A config that raydet ships, with what is changed in `model` to equal the peer, and the peer if there is one."""

    config: str
    changes: dict[str, Any]
    peer: Peer | None = None

    def model(self) -> BaseDetector:
        """The model of the config with fresh weights."""
        cfg = Config.fromfile(ROOT / "configs" / self.config)
        cfg.merge_from_dict({f"model.{key}": value for key, value in self.changes.items()})
        model = build_detector(cfg.model)
        model.init_weights()
        return model


def torchvision_backbone(levels: list[int], extra: nn.Module | None) -> nn.Module:
    options = {} if extra is None else {"extra_blocks": extra}
    backbone: nn.Module = resnet_fpn_backbone(
        backbone_name="resnet50",
        weights=None,
        norm_layer=FrozenBatchNorm2d,
        trainable_layers=3,
        returned_layers=levels,
        **options,
    )
    return backbone


def torchvision_retinanet(size: Size) -> nn.Module:
    backbone = torchvision_backbone([2, 3, 4], LastLevelP6P7(256, 256))
    sizes = {"min_size": min(size), "max_size": max(size)}
    model: nn.Module = RetinaNet(backbone, NUM_CLASSES, **sizes, nms_thresh=0.5, detections_per_img=100)
    return model


def torchvision_fcos(size: Size) -> nn.Module:
    """Its scores are roots of products, so that a threshold of 0.158 leaves about as many as 0.05 of class scores."""
    backbone = torchvision_backbone([2, 3, 4], LastLevelP6P7(256, 256))
    sizes = {"min_size": min(size), "max_size": max(size)}
    model: nn.Module = FCOS(backbone, NUM_CLASSES, **sizes, score_thresh=0.158, nms_thresh=0.6)
    return model


def torchvision_faster_rcnn(size: Size) -> nn.Module:
    model: nn.Module = FasterRCNN(
        torchvision_backbone([1, 2, 3, 4], None),
        NUM_CLASSES + 1,
        min_size=min(size),
        max_size=max(size),
        rpn_anchor_generator=AnchorGenerator(tuple((s,) for s in (32, 64, 128, 256, 512)), ((0.5, 1.0, 2.0),) * 5),
        rpn_pre_nms_top_n_train=2000,
        rpn_post_nms_top_n_train=1000,
        box_roi_pool=MultiScaleRoIAlign(["0", "1", "2", "3"], 7, 2),
    )
    return model


def torchvision_loss(model: nn.Module, images: Tensor, truths: Truths) -> Tensor:
    targets = [{"boxes": boxes, "labels": labels} for boxes, labels in zip(*truths, strict=True)]
    return torch.stack(list(model(list(images), targets).values())).sum()


def pixeltable_yolox(size: Size) -> nn.Module:
    """YOLOX-s of pixeltable-yolox (Apache-2.0), which keeps the authors' code alive."""
    from yolox.config import YoloxS  # type: ignore[import-not-found, unused-ignore]

    model: nn.Module = YoloxS().get_model()
    return model


def pixeltable_loss(model: nn.Module, images: Tensor, truths: Truths) -> Tensor:
    rows = []
    for boxes, labels in zip(*truths, strict=True):
        centers, extents = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
        rows.append(torch.cat([labels[:, None].to(boxes.dtype), centers, extents], dim=1))
    loss: Tensor = model(images, torch.stack(rows))["total_loss"]
    return loss


PAIRS = {
    "retinanet": Pair(
        "retinanet/retinanet_r50_fpn_1x_coco.py",
        SINGLE,
        Peer("torchvision", torchvision_retinanet, torchvision_loss),
    ),
    "fcos": Pair(
        "fcos/fcos_center-normbbox-centeronreg-giou_r50_caffe_fpn_gn-head_1x_coco.py",
        SINGLE,
        Peer("torchvision", torchvision_fcos, torchvision_loss),
    ),
    "atss": Pair("atss/atss_r50_fpn_1x_coco.py", SINGLE),
    "yolox": Pair(
        "yolox/yolox_s_8x8_300e_coco.py",
        {"random_size_range": (20, 20)},
        Peer("pixeltable-yolox", pixeltable_yolox, pixeltable_loss),
    ),
    "faster_rcnn": Pair(
        "faster_rcnn/faster_rcnn_r50_fpn_1x_coco.py",
        {**FROZEN, "roi_head.bbox_roi_extractor.roi_layer.sampling_ratio": 2},
        Peer("torchvision", torchvision_faster_rcnn, torchvision_loss),
    ),
}
