"""VFNet: a box is refined, and its class found, by features along its sides; classes say how well the box fits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from raydet.assignment.candidates import centers
from raydet.assignment.point_ranges import assign_points
from raydet.assignment.targets import DenseTargets
from raydet.geometry import bbox_overlaps
from raydet.heads.dense.base import DenseHead
from raydet.heads.dense.defaults import FOCAL_LOSS, GROUP_NORM, rare_classes
from raydet.heads.dense.fcos import RANGES
from raydet.heads.dense.level_assignment import AssignedByLevel
from raydet.heads.dense.output import DenseOutput, Predictor
from raydet.heads.dense.points import PointTowers
from raydet.layers import ConvModule, Scale, mean_over_ranks
from raydet.ops import DeformConv2d
from raydet.registry import LOSSES
from raydet.structures import GroundTruth

VARIFOCAL_LOSS = {
    "type": "VarifocalLoss",
    "use_sigmoid": True,
    "alpha": 0.75,
    "gamma": 2.0,
    "iou_weighted": True,
    "loss_weight": 1.0,
}
ANCHORS = {
    "type": "AnchorGenerator",
    "ratios": [1.0],
    "octave_base_scale": 8,
    "scales_per_octave": 1,
    "center_offset": 0.0,
    "strides": [8, 16, 32, 64, 128],
}
LOSS_BBOX = {"type": "GIoULoss", "loss_weight": 1.5}
LOSS_REFINED = {"type": "GIoULoss", "loss_weight": 2.0}
INIT = rare_classes("vfnet_cls")
NORM_TYPES = ("reg_denom", "stride")
# Overlaps that weigh the losses of boxes.
LEAST_OVERLAP = 1e-6


class VFNetHead(AssignedByLevel, PointTowers, DenseHead):
    """Classes that are the IoU of their box, from features sampled along it (arXiv:2008.13367).

    Args:
        num_classes: `K`, without background.
        in_channels: of the feature maps.
        regress_ranges: per level, how far the farthest side of its objects is, at least and at most, in pixels.
        center_sampling: without ATSS, only points near the center of their object are positive.
        center_sample_radius: how near, in strides.
        sync_num_pos: positives are counted over all processes.
        gradient_mul: share of the gradient of the sampling points that reaches the first box.
        bbox_norm_type: unit of distances: `reg_denom`, the end of the level's range, or `stride`.
        loss_cls_fl: part or dict; used without `use_vfl`.
        use_vfl: classes learn the IoU of their box.
        loss_cls: part or dict; used with `use_vfl`.
        loss_bbox: part or dict: of the first box.
        loss_bbox_refine: part or dict: of the refined one.
        norm_cfg: normalisation of the towers.
        use_atss: ATSS matches anchors; else points match as those of FCOS do.
        reg_decoded_bbox: losses compare boxes, whatever is given.
        anchor_generator: part or dict.
        init_cfg: weight initialisation.
        **kwargs: see `PointTowers` and `DenseHead`.

    Raises:
        ValueError: unknown `bbox_norm_type`.
    """

    cls_convs: Any
    reg_convs: Any
    vfnet_reg_conv: Any
    vfnet_reg: Any
    vfnet_reg_refine_dconv: Any
    vfnet_reg_refine: Any
    scales_refine: Any
    vfnet_cls_dconv: Any
    vfnet_cls: Any

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        regress_ranges: Sequence[tuple[float, float]] = RANGES,
        center_sampling: bool = False,
        center_sample_radius: float = 1.5,
        sync_num_pos: bool = True,
        gradient_mul: float = 0.1,
        bbox_norm_type: str = "reg_denom",
        loss_cls_fl: Any = FOCAL_LOSS,
        use_vfl: bool = True,
        loss_cls: Any = VARIFOCAL_LOSS,
        loss_bbox: Any = LOSS_BBOX,
        loss_bbox_refine: Any = LOSS_REFINED,
        norm_cfg: Any = GROUP_NORM,
        use_atss: bool = True,
        reg_decoded_bbox: bool = True,
        anchor_generator: Any = ANCHORS,
        init_cfg: Any = INIT,
        **kwargs: Any,
    ) -> None:
        if bbox_norm_type not in NORM_TYPES:
            raise ValueError(f"bbox_norm_type must be one of {', '.join(NORM_TYPES)}, got {bbox_norm_type!r}")
        self.regress_ranges = tuple(regress_ranges)
        self.center_sampling = center_sampling
        self.center_sample_radius = center_sample_radius
        self.sync_num_pos = sync_num_pos
        self.gradient_mul = gradient_mul
        self.bbox_norm_type = bbox_norm_type
        self.use_vfl = use_vfl
        self.use_atss = use_atss
        if not use_atss:
            anchor_generator = {"type": "MlvlPointGenerator", "strides": anchor_generator["strides"]}
        parts = {"anchor_generator": anchor_generator, "norm_cfg": norm_cfg}
        losses = {"loss_cls": loss_cls if use_vfl else loss_cls_fl, "loss_bbox": loss_bbox}
        super().__init__(
            num_classes, in_channels, reg_decoded_bbox=reg_decoded_bbox, init_cfg=init_cfg, **parts, **losses, **kwargs
        )
        self.loss_bbox_refine = LOSSES.build(loss_bbox_refine)
        self.learns_in_padding = not use_atss

    def towers(self) -> dict[str, nn.Module]:
        width, levels = self.feat_channels, range(self.prior_generator.num_levels)
        bias: Any = self.conv_bias
        return {
            **super().towers(),
            "vfnet_reg_conv": ConvModule(
                width, width, 3, padding=1, conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, bias=bias
            ),
            "scales": nn.ModuleList(Scale(1.0) for _ in levels),
            "vfnet_reg_refine_dconv": DeformConv2d(width, width, 3, padding=1),
            "scales_refine": nn.ModuleList(Scale(1.0) for _ in levels),
            "vfnet_cls_dconv": DeformConv2d(width, width, 3, padding=1),
        }

    def predictors(self) -> tuple[Predictor, ...]:
        """Class, refined box and first box."""
        return (
            Predictor("vfnet_cls", "cls", self.cls_out_channels, tower="cls_convs"),
            Predictor("vfnet_reg_refine", "box", 4, tower="reg_convs"),
            Predictor("vfnet_reg", "first", 4, tower="reg_convs"),
        )

    def forward_level(self, feature: Tensor, level: int) -> tuple[Tensor, ...]:
        """Raw maps of one level: classes, and distances of the refined and the first box in pixels."""
        for_class, for_box = self.cls_convs(feature), self.reg_convs(feature)
        first = self.scales[level](self.vfnet_reg(self.vfnet_reg_conv(for_box))).float().exp() * self.unit(level)
        sampled = (1 - self.gradient_mul) * first.detach() + self.gradient_mul * first
        offsets = star_offsets(sampled / self.prior_generator.strides[level][0]).to(for_box.dtype)
        for_box = self.vfnet_reg_refine_dconv(for_box, offsets).relu()
        factors = self.scales_refine[level](self.vfnet_reg_refine(for_box)).float().exp()
        classes = self.vfnet_cls(self.vfnet_cls_dconv(for_class, offsets).relu())
        return classes, factors * first.detach(), first

    def unit(self, level: int) -> float:
        """Pixels that a distance of 1 is on a level; the last range has no end and counts double the one before."""
        if self.bbox_norm_type == "stride":
            return float(self.prior_generator.strides[level][0])
        last = level == len(self.regress_ranges) - 1
        return float(self.regress_ranges[level - 1][1] * 2 if last else self.regress_ranges[level][1])

    def points(self, priors: Tensor) -> Tensor:
        """`(..., 2)` points from which distances are predicted."""
        return centers(priors) if self.use_atss else priors

    def assign(
        self, output: DenseOutput, inside: Sequence[Tensor | None], image: int, priors: Tensor, truth: GroundTruth
    ) -> Any:
        if self.use_atss:
            return super().assign(output, inside, image, priors, truth)
        ranges = priors.new_tensor(self.regress_ranges)[output.layout.level_of(priors.device)]
        strides = self.prior_strides(output) if self.center_sampling else None
        return assign_points(priors, ranges, truth, strides, self.center_sample_radius)

    def losses(self, output: DenseOutput, targets: DenseTargets) -> dict[str, Tensor]:
        rows, points = targets.positive, self.points(targets.priors)
        found = {}
        for role, name, loss in (("first", "bbox", self.loss_bbox), ("box", "bbox_rf", self.loss_bbox_refine)):
            boxes = self.bbox_coder.decode(points, output.rows(role, rows))
            overlap = bbox_overlaps(boxes.detach(), targets.boxes, is_aligned=True).clamp(min=LEAST_OVERLAP)
            total = mean_over_ranks(overlap.sum(), overlap).clamp(min=1)
            found[f"loss_{name}"] = loss(boxes, targets.boxes, weight=overlap, avg_factor=total)
        num_pos: Any = mean_over_ranks(len(rows), overlap) if self.sync_num_pos else overlap.new_tensor(len(rows))
        return {"loss_cls": self.quality_loss(output, targets, overlap, num_pos.clamp(min=1)), **found}

    def quality_loss(self, output: DenseOutput, targets: DenseTargets, overlap: Tensor, count: Tensor) -> Tensor:
        """Loss of classes, which learn the overlap `(P,)` of the refined boxes if they learn any."""
        if not self.use_vfl:
            return self.class_loss(output, targets, count)
        logits = output["cls"].flatten(0, 1)
        wanted = torch.zeros_like(logits)
        wanted[targets.positive, targets.labels.flatten()[targets.positive]] = overlap
        loss: Tensor = self.loss_cls(logits, wanted, avg_factor=count)
        return loss

    def decode(self, output: DenseOutput, image: int, index: Tensor, max_shape: Sequence[int]) -> Tensor:
        """Boxes of the refined distances."""
        points = self.points(output.image_priors(image)[index])
        boxes: Tensor = self.bbox_coder.decode(points, output["box"][image, index], max_shape=max_shape)
        return boxes


def star_offsets(sides: Tensor) -> Tensor:
    """Offsets `(N, 18, H, W)` of a 3x3 convolution that move its points to the sides and corners of a box.

    Args:
        sides: `(N, 4, H, W)` distances to the left, upper, right and lower side, in cells.
    """
    left, top, right, bottom = sides.unbind(1)
    middle = torch.zeros_like(left)
    down = torch.stack([1 - top, middle, bottom - 1], dim=1)[:, :, None].expand(-1, 3, 3, -1, -1)
    across = torch.stack([1 - left, middle, right - 1], dim=1)[:, None].expand(-1, 3, 3, -1, -1)
    return torch.stack([down, across], dim=3).flatten(1, 3)
