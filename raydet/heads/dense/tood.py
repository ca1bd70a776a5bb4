"""TOOD: classes and boxes look at the same features, each in its own mixture, and learn where both are good."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raydet.assignment.candidates import centers
from raydet.assignment.targets import DenseTargets
from raydet.geometry import distance2bbox
from raydet.heads.dense.atss import AtssLayers
from raydet.heads.dense.base import DenseHead
from raydet.heads.dense.centerness import centerness
from raydet.heads.dense.level_assignment import AssignedByLevel
from raydet.heads.dense.output import DenseOutput, Predictor
from raydet.heads.dense.task_decomposition import TaskDecomposition, look_up
from raydet.heads.dense.towers import conv_tower
from raydet.layers import bias_init_with_prob, mean_over_ranks, normal_init
from raydet.registry import ASSIGNERS, LOSSES
from raydet.structures import GroundTruth

INITIAL_LOSS = {
    "type": "FocalLoss",
    "use_sigmoid": True,
    "activated": True,
    "gamma": 2.0,
    "alpha": 0.25,
    "loss_weight": 1.0,
}
ANCHOR_TYPES = ("anchor_free", "anchor_based")
EPS = 1e-7


class TOODHead(AssignedByLevel, AtssLayers, DenseHead):
    """One anchor per cell; classes and boxes are aligned with each other, and so is what learns (arXiv:2108.07755).

    Scores are probabilities: geometric means of those of classes and of the cell. The sides of a box are looked up
    at cells near its own.

    Args:
        num_classes: `K`, without background.
        in_channels: of the feature maps.
        num_dcn: the first layers of the tower, this many, are deformable.
        anchor_type: `anchor_free` predicts distances in strides, `anchor_based` the box coder's codes.
        initial_loss_cls: part or dict: of classes in the first epochs.
        **kwargs: see `AtssLayers` and `DenseHead`. `train_cfg` has the `initial_assigner` of the first
            `initial_epoch` epochs, the `assigner` of those after, and its exponents `alpha` and `beta`.

    Attributes:
        epoch: in which the head learns; the detector's `set_epoch` sets it.

    Raises:
        ValueError: unknown `anchor_type`, or `train_cfg` has no `initial_assigner`.
    """

    inter_convs: Any
    cls_decomp: Any
    reg_decomp: Any
    cls_prob_module: Any
    reg_offset_module: Any
    tood_cls: Any
    tood_reg: Any

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        num_dcn: int = 0,
        anchor_type: str = "anchor_free",
        initial_loss_cls: Any = INITIAL_LOSS,
        **kwargs: Any,
    ) -> None:
        if anchor_type not in ANCHOR_TYPES:
            raise ValueError(f"anchor_type must be one of {', '.join(ANCHOR_TYPES)}, got {anchor_type!r}")
        self.num_dcn = num_dcn
        self.anchor_type = anchor_type
        super().__init__(num_classes, in_channels, **kwargs)
        self.initial_loss_cls = LOSSES.build(initial_loss_cls)
        self.epoch = 0
        settings = self.training_config.extra
        self.initial_epoch = settings.get("initial_epoch", 0)
        self.alpha, self.beta = settings.get("alpha", 1), settings.get("beta", 6)
        self.alignment_assigner = self.assigner
        if self.alignment_assigner is not None:
            if settings.get("initial_assigner") is None:
                raise ValueError("TOODHead starts with another assigner: train_cfg needs initial_assigner")
            self.assigner = ASSIGNERS.build(settings["initial_assigner"])

    # Layers

    def towers(self) -> dict[str, nn.Module]:
        width, options = self.feat_channels, {"norm_cfg": self.norm_cfg}
        dcn = {"type": "DCNv2", "deform_groups": 4}
        layers = (
            conv_tower(
                1, width if i else self.in_channels, width, dcn if i < self.num_dcn else self.conv_cfg, **options
            )
            for i in range(self.stacked_convs)
        )
        return {
            "inter_convs": nn.ModuleList(layer[0] for layer in layers),
            "cls_decomp": TaskDecomposition(
                width, self.stacked_convs, self.stacked_convs * 8, self.conv_cfg, **options
            ),
            "reg_decomp": TaskDecomposition(
                width, self.stacked_convs, self.stacked_convs * 8, self.conv_cfg, **options
            ),
            "cls_prob_module": _narrow(width * self.stacked_convs, width // 4, 1),
            "reg_offset_module": _narrow(width * self.stacked_convs, width // 4, 4 * 2),
        }

    def predictors(self) -> tuple[Predictor, ...]:
        return (
            Predictor("tood_cls", "cls", self.cls_out_channels, tower="cls_decomp"),
            Predictor("tood_reg", "box", 4, tower="reg_decomp", scaled=True),
        )

    def _initialize(self) -> None:
        rare = bias_init_with_prob(0.01)
        for layer in self.inter_convs:
            normal_init(layer.conv, std=0.01)
        for decomposition in (self.cls_decomp, self.reg_decomp):
            decomposition.init_weights()
        normal_init(self.cls_prob_module[0], std=0.01)
        normal_init(self.cls_prob_module[2], std=0.01, bias=rare)
        for layer in (self.reg_offset_module[0], self.reg_offset_module[2]):
            normal_init(layer, std=0.001)
        normal_init(self.tood_cls, std=0.01, bias=rare)
        normal_init(self.tood_reg, std=0.01)

    def forward_level(self, feature: Tensor, level: int) -> tuple[Tensor, ...]:
        """Maps of one level: class probabilities, and boxes xyxy in cells."""
        layers = []
        for layer in self.inter_convs:
            feature = layer(feature)
            layers.append(feature)
        joint = torch.cat(layers, dim=1)
        average = F.adaptive_avg_pool2d(joint, 1)
        logits = self.tood_cls(self.cls_decomp(joint, average)).float()
        probability = self.cls_prob_module(joint).float()
        scores = ((F.logsigmoid(logits) + F.logsigmoid(probability)) / 2).exp()
        boxes = self.boxes_of_level(self.tood_reg(self.reg_decomp(joint, average)), level)
        return scores, look_up(boxes, self.reg_offset_module(joint).float())

    def boxes_of_level(self, raw: Tensor, level: int) -> Tensor:
        """Boxes `(N, 4, H, W)` in cells from raw predictions."""
        num, _, height, width = raw.shape
        stride = self.prior_generator.strides[level][0]
        anchors = self.prior_generator.single_level_grid_priors((height, width), level, torch.float32, raw.device)
        anchors = anchors.expand(num, -1, -1)
        free = self.anchor_type == "anchor_free"
        values = self.scales[level](raw.exp() if free else raw).float().flatten(2).transpose(1, 2)
        if free:
            boxes = distance2bbox(centers(anchors) / stride, values)
        else:
            boxes = self.bbox_coder.decode(anchors, values) / stride
        return boxes.transpose(1, 2).reshape(num, 4, height, width)

    def flatten(self, maps: tuple[list[Tensor], ...]) -> DenseOutput:
        """Boxes come to be in pixels."""
        strides = self.prior_generator.strides
        classes, boxes = maps
        return super().flatten((classes, [box * strides[level][0] for level, box in enumerate(boxes)]))

    # Training

    @property
    def starting(self) -> bool:
        """Whether the epoch is one of the first, in which anchors match by their place."""
        return bool(self.epoch < self.initial_epoch)

    @torch.no_grad()
    def assign(
        self, output: DenseOutput, inside: Sequence[Tensor | None], image: int, priors: Tensor, truth: GroundTruth
    ) -> Any:
        if self.starting:
            return super().assign(output, inside, image, priors, truth)
        scores, boxes = (output.within(role, image, inside[image]) for role in ("cls", "box"))
        gts = (truth.boxes, truth.ignored, truth.labels)
        return self.alignment_assigner.assign(scores, boxes, priors, *gts, self.alpha, self.beta)

    def losses(self, output: DenseOutput, targets: DenseTargets) -> dict[str, Tensor]:
        rows = targets.positive
        if self.starting:
            quality, weight = torch.ones_like(targets.boxes[:, 0]), centerness(centers(targets.priors), targets.boxes)
        else:
            quality = weight = aligned(targets)
        count, total = (mean_over_ranks(each.sum(), each).clamp(min=1) for each in (quality, weight))
        strides = self.prior_strides(output)[rows % output.priors.shape[-2], None]
        boxes, wanted = output.rows("box", rows) / strides, targets.boxes / strides
        return {
            "loss_cls": self.alignment_loss(output, targets, quality) / count,
            "loss_bbox": self.loss_bbox(boxes, wanted, weight=weight, avg_factor=1.0) / total,
        }

    def alignment_loss(self, output: DenseOutput, targets: DenseTargets, quality: Tensor) -> Tensor:
        """Sum of the losses of classes; after the first epochs positives learn their `quality` `(P,)`."""
        scores, labels = output["cls"].flatten(0, 1), targets.labels.flatten()
        # Entropies of probabilities do not exist under mixed precision.
        with torch.autocast(scores.device.type, enabled=False):
            weights = targets.label_weights.flatten()
            if self.starting:
                initial: Tensor = self.initial_loss_cls(scores, labels, weights, avg_factor=1.0)
                return initial
            reached = torch.zeros_like(weights).index_put((targets.positive,), quality)
            loss: Tensor = self.loss_cls(scores, (labels, reached), weights, avg_factor=1.0)
            return loss

    # Inference

    def scores(self, output: DenseOutput) -> Tensor:
        return output["cls"]

    def score_factors(self, output: DenseOutput) -> None:
        """None."""

    def decode(self, output: DenseOutput, image: int, index: Tensor, max_shape: Sequence[int]) -> Tensor:
        """Boxes, which may reach over the image as in 2.x."""
        return output["box"][image, index]


def _narrow(in_channels: int, hidden: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, hidden, 1), nn.ReLU(inplace=True), nn.Conv2d(hidden, out_channels, 3, padding=1)
    )


def aligned(targets: DenseTargets) -> Tensor:
    """`(P,)` alignment of the positives, scaled so that the best of each object has the object's highest IoU."""
    taken = [result.gt_inds > 0 for result in targets.assigned]
    metrics = torch.cat(
        [r.get_extra_property("assign_metrics")[mask] for r, mask in zip(targets.assigned, taken, strict=True)]
    )
    overlaps = torch.cat([r.max_overlaps[mask] for r, mask in zip(targets.assigned, taken, strict=True)])
    image = targets.positive // targets.labels.shape[1]
    owner = image * (targets.matched_gt.max() + 1 if len(image) else 1) + targets.matched_gt
    _, row = torch.unique(owner, return_inverse=True)
    nothing = metrics.new_zeros(len(row))
    best, fit = (nothing.scatter_reduce(0, row, each, "amax")[row] for each in (metrics, overlaps))
    return metrics / (best + EPS) * fit
