"""Guided anchoring: where anchors are worth it and how large they are is predicted, too (arXiv:1901.03278)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from raydet.assignment.region import all_locations
from raydet.assignment.targets import DenseTargets, assign_targets
from raydet.heads.dense.adaption import FeatureAdaption
from raydet.heads.dense.approximations import Approximations
from raydet.heads.dense.candidates import best_priors
from raydet.heads.dense.defaults import rare_classes
from raydet.heads.dense.output import DenseOutput, Predictor
from raydet.heads.settings import DenseTraining, Prediction, build_assigner_and_sampler
from raydet.registry import BBOX_CODERS, LOSSES, PRIOR_GENERATORS
from raydet.structures import Batch, Detections, GroundTruth, ImageMeta

APPROXIMATIONS = {
    "type": "AnchorGenerator",
    "octave_base_scale": 8,
    "scales_per_octave": 3,
    "ratios": [0.5, 1.0, 2.0],
    "strides": [4, 8, 16, 32, 64],
}
SQUARES = {"type": "AnchorGenerator", "ratios": [1.0], "scales": [8], "strides": [4, 8, 16, 32, 64]}
CODER = {
    "type": "DeltaXYWHBBoxCoder",
    "target_means": [0.0, 0.0, 0.0, 0.0],
    "target_stds": [1.0, 1.0, 1.0, 1.0],
}
LOSS_LOC = {"type": "FocalLoss", "use_sigmoid": True, "gamma": 2.0, "alpha": 0.25, "loss_weight": 1.0}
LOSS_SHAPE = {"type": "BoundedIoULoss", "beta": 0.2, "loss_weight": 1.0}
LOSS_CLS = {"type": "CrossEntropyLoss", "use_sigmoid": True, "loss_weight": 1.0}
LOSS_BBOX = {"type": "SmoothL1Loss", "beta": 1.0, "loss_weight": 1.0}
INIT = rare_classes("conv_loc")
# Anchors may become this much smaller or larger than their square.
GROWTH = 1e-6
# One in so many locations counts for the loss of locations.
COUNTED = 200


class GuidedAnchors:
    """What a `DenseHead` with guided anchors adds: mix it in before that class.

    `train_cfg` also has `ga_assigner`, `ga_sampler`, `center_ratio` and `ignore_ratio`.

    Args:
        num_classes: `K`, without background.
        in_channels: of the feature maps.
        feat_channels: of the adapted features.
        approx_anchor_generator: part or dict: the anchors that a square stands for in the matching of shapes.
        square_anchor_generator: part or dict: one square per cell.
        anchor_coder: part or dict: from squares to anchors.
        bbox_coder: part or dict: from anchors to boxes.
        reg_decoded_bbox: the box loss compares boxes instead of their codes.
        deform_groups: groups of channels that are adapted separately.
        loc_filter_thr: anchors are dropped where an object is less probable than this.
        train_cfg: see `DenseHead`, and above.
        test_cfg: see `DenseHead`.
        loss_loc: part or dict: loss of the locations.
        loss_shape: part or dict: loss of the anchors.
        loss_cls: part or dict.
        loss_bbox: part or dict.
        init_cfg: weight initialisation.
        **kwargs: see `DenseHead`.
    """

    shape_name = "loss_shape"
    loc_name = "loss_loc"

    in_channels: int
    feat_channels: int
    cls_out_channels: int
    num_classes: int
    feature_adaption: nn.Module
    conv_cls: nn.Module
    conv_reg: nn.Module
    conv_shape: nn.Module
    conv_loc: nn.Module
    training: bool
    prior_generator: Any
    bbox_coder: Any
    training_config: DenseTraining
    test_config: Prediction
    scores: Callable[[DenseOutput], Tensor]
    decode: Callable[[DenseOutput, int, Tensor, Sequence[int]], Tensor]

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        feat_channels: int = 256,
        approx_anchor_generator: Any = APPROXIMATIONS,
        square_anchor_generator: Any = SQUARES,
        anchor_coder: Any = CODER,
        bbox_coder: Any = CODER,
        reg_decoded_bbox: bool = False,
        deform_groups: int = 4,
        loc_filter_thr: float = 0.01,
        train_cfg: Mapping[str, Any] | None = None,
        test_cfg: Mapping[str, Any] | None = None,
        loss_loc: Any = LOSS_LOC,
        loss_shape: Any = LOSS_SHAPE,
        loss_cls: Any = LOSS_CLS,
        loss_bbox: Any = LOSS_BBOX,
        init_cfg: Any = INIT,
        **kwargs: Any,
    ) -> None:
        self.deform_groups = deform_groups
        self.loc_filter_thr = loc_filter_thr
        parts = {"anchor_generator": square_anchor_generator, "bbox_coder": bbox_coder}
        losses = {"loss_cls": loss_cls, "loss_bbox": loss_bbox, "reg_decoded_bbox": reg_decoded_bbox}
        settings = {"train_cfg": train_cfg, "test_cfg": test_cfg, "init_cfg": init_cfg}
        super().__init__(num_classes, in_channels, feat_channels, **parts, **losses, **settings, **kwargs)  # type: ignore[call-arg]
        self.approx_anchor_generator = PRIOR_GENERATORS.build(approx_anchor_generator)
        self.anchor_coder = BBOX_CODERS.build(anchor_coder)
        self.loss_loc = LOSSES.build(loss_loc)
        self.loss_shape = LOSSES.build(loss_shape)
        own = self.training_config.extra
        self.ga_sampling = own.get("ga_sampler") is not None
        self.ga_assigner, self.ga_sampler = build_assigner_and_sampler(
            DenseTraining(assigner=own.get("ga_assigner"), sampler=own.get("ga_sampler"))
        )

    def towers(self) -> dict[str, nn.Module]:
        """Features adapted to the predicted shapes."""
        return {
            "feature_adaption": FeatureAdaption(self.in_channels, self.feat_channels, deform_groups=self.deform_groups)
        }

    def predictors(self) -> tuple[Predictor, ...]:
        """Classes and boxes from adapted features; shapes and locations from those that come in."""
        return (
            Predictor("conv_cls", "cls", self.cls_out_channels, tower="feature_adaption", kernel=1),
            Predictor("conv_reg", "box", 4, tower="feature_adaption", kernel=1),
            Predictor("conv_shape", "shape", 2, kernel=1),
            Predictor("conv_loc", "loc", 1, kernel=1),
        )

    def forward_level(self, feature: Tensor, level: int) -> tuple[Tensor, ...]:
        """Raw maps of one level: classes, boxes, shapes, locations."""
        shape = self.conv_shape(feature)
        adapted = self.feature_adaption(feature, shape.detach())
        return self.conv_cls(adapted), self.conv_reg(adapted), shape, self.conv_loc(feature)

    def flatten(self, maps: tuple[list[Tensor], ...]) -> DenseOutput:
        """Priors become the guided anchors `(N, R, 4)`."""
        output: DenseOutput = super().flatten(maps)  # type: ignore[misc]
        squares = output.priors.expand(*output["shape"].shape[:2], 4)
        return replace(output, priors=self._anchors(squares, output["shape"].detach()))

    def _anchors(self, squares: Tensor, shapes: Tensor) -> Tensor:
        """Anchors `(..., 4)` from squares `(..., 4)` and shapes `(..., 2)`."""
        deltas = torch.cat([torch.zeros_like(shapes), shapes], dim=-1)
        anchors: Tensor = self.anchor_coder.decode(squares, deltas, wh_ratio_clip=GROWTH)
        return anchors

    # Training

    def approximations(self, output: DenseOutput) -> Approximations:
        """The anchors that the squares stand for."""
        return Approximations(self.approx_anchor_generator, output.layout, output.priors)

    def inside(self, output: DenseOutput, metas: Sequence[ImageMeta]) -> list[Tensor | None]:
        """Per image, the squares that have an approximation that may learn."""
        return self.approximations(output).inside(metas, self.training_config.allowed_border)

    def batch_losses(self, output: DenseOutput, batch: Batch) -> dict[str, Tensor]:
        """Losses of classes and boxes, of the shapes of anchors, and of their locations."""
        assert batch.truths is not None
        losses: dict[str, Tensor] = super().batch_losses(output, batch)  # type: ignore[misc]
        shapes = self._shape_targets(output, batch)
        return {
            **losses,
            self.shape_name: self._shape_loss(output, shapes),
            self.loc_name: self._location_loss(output, batch.truths),
        }

    def _shape_targets(self, output: DenseOutput, batch: Batch) -> DenseTargets:
        approximations, inside = self.approximations(output), self.inside(output, batch.metas)
        squares = self.prior_generator.grid_priors(list(output.layout.sizes), device=output.priors.device)
        assert batch.truths is not None
        return assign_targets(
            torch.cat(squares),
            batch.truths,
            lambda image, some, truth: approximations.assign(self.ga_assigner, inside[image], some, truth),
            self.ga_sampler,
            self.num_classes,
            inside,
        )

    def _shape_loss(self, output: DenseOutput, targets: DenseTargets) -> Tensor:
        anchors = self._anchors(targets.priors, output.rows("shape", targets.positive))
        count = targets.num_pos + targets.num_neg if self.ga_sampling else targets.num_pos
        loss: Tensor = self.loss_shape(anchors, targets.boxes, torch.ones_like(anchors), avg_factor=float(count))
        return loss

    def _location_loss(self, output: DenseOutput, truths: Sequence[GroundTruth]) -> Tensor:
        generator, own = self.approx_anchor_generator, self.training_config.extra
        strides = [stride[0] for stride in generator.strides]
        scales = (generator.octave_base_scale, own["center_ratio"], own["ignore_ratio"])
        maps = [all_locations(output.layout.sizes, strides, truth.boxes, *scales) for truth in truths]
        wanted, weights = (torch.cat(column) for column in zip(*maps, strict=True))
        # Class 1 of one class is background: in 2.x, so in its models, the map learns where no object is.
        loss: Tensor = self.loss_loc(
            output["loc"].reshape(-1, 1), wanted.long(), weights, avg_factor=len(wanted) / COUNTED
        )
        return loss

    # Inference

    def likely(self, output: DenseOutput) -> Tensor:
        """`(N, R)` bool: where an object is probable enough; everywhere in training."""
        probability = output["loc"].squeeze(-1).sigmoid()
        return probability >= (0.0 if self.training else self.loc_filter_thr)

    def candidates(self, output: DenseOutput, metas: Sequence[ImageMeta]) -> list[Detections]:
        """Detections before suppression: all good classes of the best anchors at likely places."""
        found = []
        likely, scores = self.likely(output), self.scores(output)
        scores = scores.masked_fill(~likely[..., None], -1)
        for image, meta in enumerate(metas):
            kept = best_priors(scores[image], output.layout, self.test_config.nms_pre) & likely[image]
            good = kept[:, None] & (scores[image] > self.test_config.score_thr)
            rows, labels = good.nonzero(as_tuple=True)
            boxes = self.decode(output, image, rows, meta.img_shape[:2])
            found.append(Detections(boxes, scores[image, rows, labels], labels))
        return found
