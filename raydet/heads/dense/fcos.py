"""FCOS: a box from every point inside an object."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from raydet.assignment.point_ranges import assign_points
from raydet.assignment.targets import DenseTargets
from raydet.heads.dense.base import DenseHead
from raydet.heads.dense.centerness import centerness
from raydet.heads.dense.defaults import BINARY_LOSS, FOCAL_LOSS, GROUP_NORM, rare_classes
from raydet.heads.dense.output import DenseOutput, Predictor
from raydet.heads.dense.points import IOU_LOSS, PointTowers
from raydet.layers import mean_over_ranks
from raydet.registry import LOSSES
from raydet.structures import GroundTruth

RANGES = ((-1, 64), (64, 128), (128, 256), (256, 512), (512, 1e8))
INIT = rare_classes("conv_cls")


class FcosBoxes(PointTowers):
    """What a `DenseHead` that does as FCOS adds: mix it in before that class.

    Args:
        num_classes: `K`, without background.
        in_channels: of the feature maps.
        regress_ranges: per level, how far the farthest side of its objects is, at least and at most, in pixels.
        center_sampling: only points near the center of their object are positive.
        center_sample_radius: how near, in strides.
        norm_on_bbox: distances are predicted in strides instead of as logarithms of pixels.
        centerness_on_reg: centerness stands on the tower of boxes instead of that of classes.
        loss_cls: part or dict.
        loss_bbox: part or dict; weighed by centerness.
        loss_centerness: part or dict.
        norm_cfg: normalisation of the towers.
        init_cfg: weight initialisation.
        **kwargs: see `PointTowers` and `DenseHead`.
    """

    cls_out_channels: int
    class_loss: Callable[..., Tensor]
    prior_strides: Callable[[DenseOutput], Tensor]
    loss_bbox: Any
    bbox_coder: Any

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        regress_ranges: Sequence[tuple[float, float]] = RANGES,
        center_sampling: bool = False,
        center_sample_radius: float = 1.5,
        norm_on_bbox: bool = False,
        centerness_on_reg: bool = False,
        loss_cls: Any = FOCAL_LOSS,
        loss_bbox: Any = IOU_LOSS,
        loss_centerness: Any = BINARY_LOSS,
        norm_cfg: Any = GROUP_NORM,
        init_cfg: Any = INIT,
        **kwargs: Any,
    ) -> None:
        self.regress_ranges = tuple(regress_ranges)
        self.center_sampling = center_sampling
        self.center_sample_radius = center_sample_radius
        self.norm_on_bbox = norm_on_bbox
        self.centerness_on_reg = centerness_on_reg
        parts = {"loss_cls": loss_cls, "loss_bbox": loss_bbox, "norm_cfg": norm_cfg, "init_cfg": init_cfg}
        super().__init__(num_classes, in_channels, **parts, **kwargs)
        self.loss_centerness = LOSSES.build(loss_centerness)

    def predictors(self) -> tuple[Predictor, ...]:
        """Class, distances and how central the point is."""
        tower = "reg_convs" if self.centerness_on_reg else "cls_convs"
        return (
            Predictor("conv_cls", "cls", self.cls_out_channels, tower="cls_convs"),
            Predictor("conv_reg", "box", 4, tower="reg_convs", scaled=True),
            Predictor("conv_centerness", "centerness", 1, tower=tower),
        )

    def flatten(self, maps: tuple[list[Tensor], ...]) -> DenseOutput:
        """Boxes become distances in pixels."""
        output: DenseOutput = super().flatten(maps)  # type: ignore[misc]
        raw = output["box"]
        distances = raw.relu() * self.prior_strides(output)[:, None] if self.norm_on_bbox else raw.exp()
        return replace(output, values={**output.values, "box": distances})

    def assign(
        self, output: DenseOutput, inside: Sequence[Tensor | None], image: int, priors: Tensor, truth: GroundTruth
    ) -> Any:
        """Match each point with the smallest object around it that its level is for."""
        level = output.layout.level_of(priors.device)
        ranges = priors.new_tensor(self.regress_ranges)[level]
        strides = self.prior_strides(output) if self.center_sampling else None
        return assign_points(priors, ranges, truth, strides, self.center_sample_radius)

    def losses(self, output: DenseOutput, targets: DenseTargets) -> dict[str, Tensor]:
        """Losses of classes, boxes and centerness."""
        count = mean_over_ranks(len(targets.positive), output.priors).clamp(min=1)
        central = centerness(targets.priors, targets.boxes)
        weight = mean_over_ranks(central.sum(), central).clamp(min=1e-6)
        boxes = self.bbox_coder.decode(targets.priors, output.rows("box", targets.positive))
        logits = output.rows("centerness", targets.positive).squeeze(-1)
        return {
            "loss_cls": self.class_loss(output, targets, count),
            "loss_bbox": self.loss_bbox(boxes, targets.boxes, weight=central, avg_factor=weight),
            "loss_centerness": self.loss_centerness(logits, central, avg_factor=count),
        }

    def score_factors(self, output: DenseOutput) -> Tensor | None:
        """How central each point is."""
        return output["centerness"].sigmoid().squeeze(-1)


class FCOSHead(FcosBoxes, DenseHead):
    """Distances from each point to the sides of its object, and how central the point is (arXiv:1904.01355)."""
