"""RepPoints: objects as sets of points, placed once and refined once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from raydet.assignment.point import PointAssigner
from raydet.assignment.targets import DenseTargets, assign_targets
from raydet.geometry import clip_boxes
from raydet.heads.dense.base import DenseHead
from raydet.heads.dense.defaults import FOCAL_LOSS, rare_classes
from raydet.heads.dense.output import DenseOutput, Predictor
from raydet.heads.dense.point_sets import METHODS, boxes_around, grids_in_boxes, kernel_places, kernel_side
from raydet.heads.dense.points import PointTowers
from raydet.heads.settings import DenseTraining, build_assigner_and_sampler
from raydet.ops import DeformConv2d
from raydet.registry import LOSSES
from raydet.structures import Batch

INIT = rare_classes("reppoints_cls_out")
INIT_LOSS = {"type": "SmoothL1Loss", "beta": 1.0 / 9.0, "loss_weight": 0.5}
REFINE_LOSS = {"type": "SmoothL1Loss", "beta": 1.0 / 9.0, "loss_weight": 1.0}


class RepPointsHead(PointTowers, DenseHead):
    """Each cell places points, looks at the features there, classifies them and refines the places (arXiv:1904.11490).

    `train_cfg` has the sections `init` and `refine`, each with an `assigner` and a `pos_weight`. In evaluation mode
    the head returns classes and boxes, in training mode classes, first and refined points.

    Args:
        num_classes: `K`, without background.
        in_channels: of the feature maps.
        point_feat_channels: of the features sampled at points.
        num_points: of each set, an odd square number.
        gradient_mul: part of the gradient that passes from what is seen at the points to their places.
        point_strides: pixels per cell of each level.
        point_base_scale: size of a standard object, in strides.
        loss_cls: part or dict.
        loss_bbox_init: part or dict: loss of the boxes of the first points.
        loss_bbox_refine: part or dict: loss of the boxes of the refined points.
        use_grid_points: points are a regular grid in a predicted box.
        center_init: points start in the middle of the cell instead of on a grid.
        transform_method: how points make a box: `minmax`, `partial_minmax` or `moment`.
        moment_mul: part of the gradient that reaches the learned factors of `moment`.
        init_cfg: weight initialisation.
        **kwargs: see `PointTowers` and `DenseHead`.

    Raises:
        ValueError: `num_points` is no odd square number, or `transform_method` is unknown.
    """

    learns_in_padding = False
    reppoints_cls_conv: nn.Module
    reppoints_cls_out: nn.Module
    reppoints_pts_init_conv: nn.Module
    reppoints_pts_init_out: nn.Module
    reppoints_pts_refine_conv: nn.Module
    reppoints_pts_refine_out: nn.Module

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        point_feat_channels: int = 256,
        num_points: int = 9,
        gradient_mul: float = 0.1,
        point_strides: Sequence[int] = [8, 16, 32, 64, 128],
        point_base_scale: float = 4,
        loss_cls: Any = FOCAL_LOSS,
        loss_bbox_init: Any = INIT_LOSS,
        loss_bbox_refine: Any = REFINE_LOSS,
        use_grid_points: bool = False,
        center_init: bool = True,
        transform_method: str = "moment",
        moment_mul: float = 0.01,
        init_cfg: Any = INIT,
        **kwargs: Any,
    ) -> None:
        if transform_method not in METHODS:
            raise ValueError(f"unknown transform_method {transform_method!r}; choose from {', '.join(METHODS)}")
        self.point_feat_channels = point_feat_channels
        self.num_points = num_points
        self.side = kernel_side(num_points)
        self.gradient_mul = gradient_mul
        self.point_base_scale = point_base_scale
        self.use_grid_points = use_grid_points
        self.center_init = center_init
        self.transform_method = transform_method
        self.moment_mul = moment_mul
        points = {"strides": point_strides, "point_offset": 0.0}
        super().__init__(num_classes, in_channels, loss_cls=loss_cls, init_cfg=init_cfg, **{**kwargs, **points})
        if transform_method == "moment":
            self.moment_transfer = nn.Parameter(torch.zeros(2))
        self.loss_bbox_init = LOSSES.build(loss_bbox_init)
        self.loss_bbox_refine = LOSSES.build(loss_bbox_refine)
        self.stages = {name: DenseTraining.read(self.training_config.extra.get(name)) for name in ("init", "refine")}
        self.assigners = {name: build_assigner_and_sampler(stage)[0] for name, stage in self.stages.items()}

    def towers(self) -> dict[str, nn.Module]:
        sizes = (self.feat_channels, self.point_feat_channels)
        return {
            **super().towers(),
            "reppoints_cls_conv": DeformConv2d(*sizes, self.side, padding=self.side // 2),
            "reppoints_pts_init_conv": nn.Conv2d(*sizes, 3, padding=1),
            "reppoints_pts_refine_conv": DeformConv2d(*sizes, self.side, padding=self.side // 2),
        }

    def predictors(self) -> tuple[Predictor, ...]:
        return (
            Predictor("reppoints_cls_out", "cls", self.cls_out_channels),
            Predictor("reppoints_pts_init_out", "init", 2 * self.num_points),
            Predictor("reppoints_pts_refine_out", "box", 2 * self.num_points),
        )

    def build_predictor(self, predictor: Predictor, level: int) -> nn.Module:
        dims = 4 if self.use_grid_points and predictor.role != "cls" else predictor.dims
        return nn.Conv2d(self.point_feat_channels, dims, 1)

    # Points

    def forward_level(self, feature: Tensor, level: int) -> tuple[Tensor, ...]:
        """Classes, first points and refined points `(N, 2 n, H, W)`, in cells from the place of the cell."""
        classes, places = (self.run_tower(name, feature, level) for name in ("cls_convs", "reg_convs"))
        init, boxes = self._first(self.reppoints_pts_init_out(self.reppoints_pts_init_conv(places).relu()).float())
        seen = init.detach() + self.gradient_mul * (init - init.detach())
        offset = (seen - kernel_places(self.side, init)).to(places.dtype)
        scores = self.reppoints_cls_out(self.reppoints_cls_conv(classes, offset).relu())
        change = self.reppoints_pts_refine_out(self.reppoints_pts_refine_conv(places, offset).relu()).float()
        if self.use_grid_points:
            return scores, init, grids_in_boxes(change, boxes.detach(), self.side)[0]
        return scores, init, init.detach() + change

    def _first(self, change: Tensor) -> tuple[Tensor, Tensor]:
        """First points, and the boxes of their grids."""
        half = self.point_base_scale / 2
        standard = change.new_tensor([-half, -half, half, half]).view(1, 4, 1, 1)
        if self.use_grid_points:
            return grids_in_boxes(change, standard, self.side)
        if self.center_init:
            return change, standard
        places = kernel_places(self.side, change)
        return change + places / places.max() * half, standard

    def forward(self, feats: Sequence[Tensor]) -> tuple[list[Tensor], ...]:
        """Raw maps: for each predictor, a list over levels; in evaluation mode classes and boxes `(N, 4, H, W)`."""
        classes, init, refined = super().forward(feats)
        if self.training:
            return classes, init, refined
        boxes = [self._boxes(points.permute(0, 2, 3, 1)).permute(0, 3, 1, 2) for points in refined]
        return classes, boxes

    def _boxes(self, points: Tensor) -> Tensor:
        if self.transform_method != "moment":
            return boxes_around(points, self.transform_method)
        # The factors learn slowly.
        still = self.moment_transfer.detach()
        return boxes_around(points, "moment", still + self.moment_mul * (self.moment_transfer - still))

    def outputs(self, feats: Sequence[Tensor]) -> DenseOutput:
        """Classes, and boxes in pixels of the first points (`init`) and of the refined ones (`box`)."""
        output = self.flatten(super().forward(feats))
        strides = self.prior_strides(output)[:, None]
        boxes = {role: self._boxes(output[role]) * strides + output.priors.repeat(1, 2) for role in ("init", "box")}
        return replace(output, values={**output.values, **boxes})

    # Training

    def batch_losses(self, output: DenseOutput, batch: Batch) -> dict[str, Tensor]:
        """First points learn near objects, refined ones where the first ones are near."""
        first = self._match(output, batch, "init", self._standards(output))
        return {
            **super().batch_losses(output, batch),
            "loss_pts_init": self._point_loss(self.loss_bbox_init, output, "init", first),
        }

    def _standards(self, output: DenseOutput) -> Tensor:
        """What is matched with objects first: points `(R, 3)` with strides, or boxes of standard size."""
        strides = self.prior_strides(output)[:, None]
        if isinstance(self.assigners["init"], PointAssigner):
            return torch.cat([output.priors, strides], dim=1)
        half = self.point_base_scale * strides * 0.5
        return torch.cat([output.priors - half, output.priors + half], dim=1)

    def targets(self, output: DenseOutput, batch: Batch) -> DenseTargets:
        """What classes and refined points shall predict."""
        return self._match(output, batch, "refine", output["init"].detach())

    def _match(self, output: DenseOutput, batch: Batch, stage: str, priors: Tensor) -> DenseTargets:
        assert batch.truths is not None
        assigner = self.assigners[stage]
        return assign_targets(
            priors,
            batch.truths,
            lambda _, some, truth: assigner.assign(some, truth.boxes, truth.ignored, truth.labels),
            self.sampler,
            self.num_classes,
            self.valid_priors(output, batch.metas),
            self.stages[stage].pos_weight,
        )

    def losses(self, output: DenseOutput, targets: DenseTargets) -> dict[str, Tensor]:
        return {
            "loss_cls": self.class_loss(output, targets, self._count(targets)),
            "loss_pts_refine": self._point_loss(self.loss_bbox_refine, output, "box", targets),
        }

    def _point_loss(self, loss: Any, output: DenseOutput, role: str, targets: DenseTargets) -> Tensor:
        """Loss of the boxes of positives, in sizes of standard objects."""
        rows = targets.positive
        unit = self.point_base_scale * self.prior_strides(output)[rows % len(output.priors), None]
        value: Tensor = loss(output.rows(role, rows) / unit, targets.boxes / unit, avg_factor=self._count(targets))
        return value

    def _count(self, targets: DenseTargets) -> float:
        return float(targets.num_pos + targets.num_neg if self.sampling else targets.num_pos)

    def decode(self, output: DenseOutput, image: int, index: Tensor, max_shape: Sequence[int]) -> Tensor:
        return clip_boxes(output["box"][image, index], max_shape)
