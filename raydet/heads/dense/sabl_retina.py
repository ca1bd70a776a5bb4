"""SABL on RetinaNet: every side of a box is found by itself, first its bucket, then its place (arXiv:1912.04260)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from raydet.assignment.targets import DenseTargets
from raydet.heads.dense.approximations import Approximations
from raydet.heads.dense.base import DenseHead
from raydet.heads.dense.defaults import FOCAL_LOSS, rare_classes
from raydet.heads.dense.output import DenseOutput, Predictor
from raydet.heads.dense.retina import ANCHORS
from raydet.registry import LOSSES, PRIOR_GENERATORS
from raydet.structures import GroundTruth, ImageMeta

SQUARES = {"type": "AnchorGenerator", "ratios": [1.0], "scales": [4], "strides": [8, 16, 32, 64, 128]}
CODER = {"type": "BucketingBBoxCoder", "num_buckets": 14, "scale_factor": 3.0}
BUCKET_LOSS = {"type": "CrossEntropyLoss", "use_sigmoid": True, "loss_weight": 1.5}
OFFSET_LOSS = {"type": "SmoothL1Loss", "beta": 1.0 / 9.0, "loss_weight": 1.5}
INIT = rare_classes("retina_cls")


class SABLRetinaHead(DenseHead):
    """Two towers over one square per cell; matching looks at the anchors that the square stands for.

    Args:
        num_classes: `K`, without background.
        in_channels: of the feature maps.
        stacked_convs: depth of each tower.
        feat_channels: of the towers.
        approx_anchor_generator: part or dict: the anchors that a square stands for.
        square_anchor_generator: part or dict: one square per cell.
        conv_cfg: convolution of the towers.
        norm_cfg: normalisation of the towers.
        bbox_coder: part or dict: of buckets and offsets.
        reg_decoded_bbox: without effect, as in 2.x.
        train_cfg: see `DenseHead`; the assigner is an `ApproxMaxIoUAssigner`.
        test_cfg: see `DenseHead`.
        loss_cls: part or dict.
        loss_bbox_cls: part or dict: loss of the buckets.
        loss_bbox_reg: part or dict: loss of the offsets.
        init_cfg: weight initialisation.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        stacked_convs: int = 4,
        feat_channels: int = 256,
        approx_anchor_generator: Any = ANCHORS,
        square_anchor_generator: Any = SQUARES,
        conv_cfg: Any = None,
        norm_cfg: Any = None,
        bbox_coder: Any = CODER,
        reg_decoded_bbox: bool = False,
        train_cfg: Mapping[str, Any] | None = None,
        test_cfg: Mapping[str, Any] | None = None,
        loss_cls: Any = FOCAL_LOSS,
        loss_bbox_cls: Any = BUCKET_LOSS,
        loss_bbox_reg: Any = OFFSET_LOSS,
        init_cfg: Any = INIT,
    ) -> None:
        super().__init__(
            num_classes,
            in_channels,
            feat_channels,
            stacked_convs,
            conv_cfg,
            norm_cfg,
            square_anchor_generator,
            bbox_coder,
            reg_decoded_bbox,
            loss_cls,
            loss_bbox_reg,
            train_cfg,
            test_cfg,
            init_cfg,
        )
        self.approx_anchor_generator = PRIOR_GENERATORS.build(approx_anchor_generator)
        self.loss_bbox_cls = LOSSES.build(loss_bbox_cls)

    def predictors(self) -> tuple[Predictor, ...]:
        dims = 4 * self.bbox_coder.side_num
        return (
            Predictor("retina_cls", "cls", self.cls_out_channels, tower="cls_convs"),
            Predictor("retina_bbox_cls", "buckets", dims, tower="reg_convs"),
            Predictor("retina_bbox_reg", "box", dims, tower="reg_convs"),
        )

    def approximations(self, output: DenseOutput) -> Approximations:
        """The anchors that the squares stand for."""
        return Approximations(self.approx_anchor_generator, output.layout, output.priors)

    def inside(self, output: DenseOutput, metas: Sequence[ImageMeta]) -> list[Tensor | None]:
        return self.approximations(output).inside(metas, self.training_config.allowed_border)

    def assign(
        self, output: DenseOutput, inside: Sequence[Tensor | None], image: int, priors: Tensor, truth: GroundTruth
    ) -> Any:
        return self.approximations(output).assign(self.assigner, inside[image], priors, truth)

    def losses(self, output: DenseOutput, targets: DenseTargets) -> dict[str, Tensor]:
        count = float(targets.num_pos + targets.num_neg if self.sampling else targets.num_pos)
        rows, coder = targets.positive, self.bbox_coder
        wanted = coder.encode(targets.priors, targets.boxes)
        buckets, offsets = output.rows("buckets", rows), output.rows("box", rows)
        return {
            "loss_cls": self.class_loss(output, targets, count),
            "loss_bbox_cls": self.loss_bbox_cls(
                buckets, wanted.labels, wanted.label_weights, avg_factor=count * 4 * coder.side_num
            ),
            "loss_bbox_reg": self.loss_bbox(
                offsets, wanted.offsets, wanted.offset_weights, avg_factor=count * 4 * coder.offset_topk
            ),
        }

    def score_factors(self, output: DenseOutput) -> Tensor:
        """`(N, R)` how sure the buckets of the sides are."""
        priors = output.priors.repeat(len(output["box"]), 1)
        sides = (output["buckets"].flatten(0, 1), output["box"].flatten(0, 1))
        certainty: Tensor = self.bbox_coder.decode(priors, sides)[1]
        return certainty.view(output["box"].shape[:2])

    def decode(self, output: DenseOutput, image: int, index: Tensor, max_shape: Sequence[int]) -> Tensor:
        sides = (output["buckets"][image, index], output["box"][image, index])
        boxes: Tensor = self.bbox_coder.decode(output.priors[index], sides, max_shape=max_shape)[0]
        return boxes
