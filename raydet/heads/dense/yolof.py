"""YOLOF: all objects from one coarse level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from raydet.assignment.targets import DenseTargets
from raydet.heads.dense.base import DenseHead
from raydet.heads.dense.defaults import rare_classes
from raydet.heads.dense.output import DenseOutput, Predictor
from raydet.heads.dense.towers import conv_tower
from raydet.layers import mean_over_ranks
from raydet.structures import GroundTruth

BATCH_NORM = {"type": "BN", "requires_grad": True}
INIT = rare_classes("cls_score")
# Where 2.x cuts exponentials off.
LARGE = 1e8


class YOLOFHead(DenseHead):
    """Classes times an objectness that nothing teaches but the classes, and boxes (arXiv:2103.09460).

    Args:
        num_classes: `K`, without background.
        in_channels: of the feature map, and of the towers.
        num_cls_convs: depth of the tower of classes.
        num_reg_convs: depth of the tower of boxes.
        norm_cfg: normalisation of the towers.
        **kwargs: see `DenseHead`. `loss_bbox` compares boxes; `train_cfg.assigner` is a `UniformAssigner`.
    """

    cls_score: nn.Module
    bbox_pred: nn.Module

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        num_cls_convs: int = 2,
        num_reg_convs: int = 4,
        norm_cfg: Any = BATCH_NORM,
        **kwargs: Any,
    ) -> None:
        self.depths = {"cls_subnet": num_cls_convs, "bbox_subnet": num_reg_convs}
        options = {"init_cfg": INIT, **kwargs, "feat_channels": in_channels, "norm_cfg": norm_cfg}
        super().__init__(num_classes, in_channels, **options)
        self.object_pred = nn.Conv2d(in_channels, self.num_base_priors, 3, padding=1)

    def towers(self) -> dict[str, nn.Module]:
        sizes = (self.in_channels, self.feat_channels, self.conv_cfg, self.norm_cfg)
        return {name: conv_tower(depth, *sizes) for name, depth in self.depths.items()}

    def predictors(self) -> tuple[Predictor, ...]:
        return (
            Predictor("cls_score", "cls", self.cls_out_channels, tower="cls_subnet"),
            Predictor("bbox_pred", "box", 4, tower="bbox_subnet"),
        )

    def forward_level(self, feature: Tensor, level: int) -> tuple[Tensor, ...]:
        classes = self.cls_score(self.run_tower("cls_subnet", feature, level))
        around = self.run_tower("bbox_subnet", feature, level)
        return with_objectness(classes, self.object_pred(around)), self.bbox_pred(around)

    def assign(
        self, output: DenseOutput, inside: Sequence[Tensor | None], image: int, priors: Tensor, truth: GroundTruth
    ) -> Any:
        codes, kept = output["box"][image], inside[image]
        boxes = self.bbox_coder.decode(priors, codes if kept is None else codes[kept])
        return self.assigner.assign(boxes, priors, truth.boxes, truth.ignored, truth.labels)

    def losses(self, output: DenseOutput, targets: DenseTargets) -> dict[str, Tensor]:
        samples = targets.num_pos + (targets.num_neg if self.sampling else 0)
        count = mean_over_ranks(samples, output.priors).clamp(min=1)
        return {
            "loss_cls": self.class_loss(output, targets, count),
            "loss_bbox": self.taken_loss(targets, count),
        }

    def taken_loss(self, targets: DenseTargets, avg_factor: Tensor) -> Tensor:
        """Regression of every box that an object took, as often as it was taken, unless its anchor is too far."""
        boxes, wanted, good = (
            torch.cat([each.get_extra_property(name) for each in targets.assigned])
            for name in ("pos_predicted_boxes", "target_boxes", "pos_idx")
        )
        if len(boxes) == 0:
            return boxes.sum()
        loss: Tensor = self.loss_bbox(boxes, wanted, good.float(), avg_factor=avg_factor)
        return loss


def with_objectness(classes: Tensor, objects: Tensor) -> Tensor:
    """Logits `(N, A*K, H, W)` of the probability of a class times that of an object `(N, A, H, W)`, from their logits.

    With `c` and `o` for the logits it is `c + o - log(1 + exp(c) + exp(o))`.
    """
    num_images, num_priors, height, width = objects.shape
    cls = classes.float().view(num_images, num_priors, -1, height, width)
    obj = objects.float().unsqueeze(2)
    either = 1 + cls.exp().clamp(max=LARGE) + obj.exp().clamp(max=LARGE)
    return (cls + obj - either.log()).view_as(classes)
