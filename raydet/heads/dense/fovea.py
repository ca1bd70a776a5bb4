"""FoveaBox: objects are seen by the cells in their middle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from raydet.assignment.fovea import assign_foveae
from raydet.assignment.targets import DenseTargets
from raydet.geometry import bbox2distance, clip_boxes, distance2bbox
from raydet.heads.dense.adaption import FeatureAdaption
from raydet.heads.dense.base import DenseHead
from raydet.heads.dense.defaults import rare_classes
from raydet.heads.dense.output import DenseOutput, Predictor
from raydet.heads.dense.points import PointTowers
from raydet.layers import ConvModule
from raydet.structures import GroundTruth

INIT = rare_classes("conv_cls")
RANGES = ((8, 32), (16, 64), (32, 128), (64, 256), (128, 512))
# Distances to learn, in units of the level.
NEAREST, FARTHEST = 1 / 16, 16.0


class FoveaHead(PointTowers, DenseHead):
    """Logarithms of the distances from a cell to the sides of its object (arXiv:1904.03797).

    Args:
        num_classes: `K`, without background.
        in_channels: of the feature maps.
        base_edge_list: per level, the unit of distances in pixels.
        scale_ranges: per level, the sizes of its objects (roots of areas), at least and at most, in pixels.
        sigma: size of the middle relative to the object.
        with_deform: features of classes are sampled according to the predicted box.
        deform_groups: groups of channels with offsets of their own.
        init_cfg: weight initialisation.
        **kwargs: see `PointTowers` and `DenseHead`.
    """

    reg_convs: nn.Module
    conv_reg: nn.Module
    feature_adaption: nn.Module
    cls_convs: nn.Module
    conv_cls: nn.Module

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        base_edge_list: Sequence[float] = (16, 32, 64, 128, 256),
        scale_ranges: Sequence[tuple[float, float]] = RANGES,
        sigma: float = 0.4,
        with_deform: bool = False,
        deform_groups: int = 4,
        init_cfg: Any = INIT,
        **kwargs: Any,
    ) -> None:
        self.base_edge_list = base_edge_list
        self.scale_ranges = scale_ranges
        self.sigma = sigma
        self.with_deform = with_deform
        self.deform_groups = deform_groups
        super().__init__(num_classes, in_channels, init_cfg=init_cfg, **kwargs)

    def towers(self) -> dict[str, nn.Module]:
        if not self.with_deform:
            return super().towers()
        channels, wide = self.feat_channels, 4 * self.feat_channels
        options = {"conv_cfg": self.conv_cfg, "norm_cfg": self.norm_cfg}
        return {
            "reg_convs": self.tower(),
            "cls_convs": nn.Sequential(
                ConvModule(channels, wide, 3, padding=1, **options), ConvModule(wide, wide, 1, **options)
            ),
            "feature_adaption": FeatureAdaption(channels, channels, deform_groups=self.deform_groups, shape_channels=4),
        }

    def predictors(self) -> tuple[Predictor, ...]:
        return (
            Predictor("conv_cls", "cls", self.cls_out_channels, tower="cls_convs"),
            Predictor("conv_reg", "box", 4, tower="reg_convs"),
        )

    def build_predictor(self, predictor: Predictor, level: int) -> nn.Module:
        if self.with_deform and predictor.role == "cls":
            return nn.Conv2d(4 * self.feat_channels, predictor.dims, 3, padding=1)
        return super().build_predictor(predictor, level)

    def forward_level(self, feature: Tensor, level: int) -> tuple[Tensor, ...]:
        if not self.with_deform:
            return super().forward_level(feature, level)
        sides = self.conv_reg(self.reg_convs(feature))
        return self.conv_cls(self.cls_convs(self.feature_adaption(feature, sides.exp()))), sides

    def assign(
        self, output: DenseOutput, inside: Sequence[Tensor | None], image: int, priors: Tensor, truth: GroundTruth
    ) -> Any:
        level = output.layout.level_of(priors.device)
        last = priors.new_tensor([(width - 1, height - 1) for height, width in output.layout.sizes])[level]
        strides = self.prior_strides(output)
        cells = (priors / strides[:, None]).floor()
        return assign_foveae(cells, last, strides, priors.new_tensor(self.scale_ranges)[level], truth, self.sigma)

    def losses(self, output: DenseOutput, targets: DenseTargets) -> dict[str, Tensor]:
        count = len(targets.positive)
        return {
            "loss_cls": self.class_loss(output, targets, float(count + len(targets.labels))),
            "loss_bbox": self.box_loss(output, targets, float(count)),
        }

    def box_pairs(self, output: DenseOutput, targets: DenseTargets) -> tuple[Tensor, Tensor]:
        distances = bbox2distance(targets.priors, targets.boxes) / self.units(output, targets.positive)
        return output.rows("box", targets.positive), distances.clamp(NEAREST, FARTHEST).log()

    def units(self, output: DenseOutput, index: Tensor) -> Tensor:
        """`(M, 1)` unit of distances, in pixels, at flat indices."""
        return torch.as_tensor(self.base_edge_list, device=index.device)[output.levels(index), None]

    def decode(self, output: DenseOutput, image: int, index: Tensor, max_shape: Sequence[int]) -> Tensor:
        distances = output["box"][image, index].exp() * self.units(output, index)
        return clip_boxes(distance2bbox(output.priors[index], distances), max_shape, margin=1)
