"""YOLACT's box head: every anchor also says how its mask is mixed from prototypes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from raydet.assignment.targets import DenseTargets
from raydet.geometry import fast_nms
from raydet.heads.dense.base import DenseHead
from raydet.heads.dense.mining import hardest_loss
from raydet.heads.dense.output import DenseOutput, Predictor
from raydet.heads.dense.towers import conv_tower
from raydet.heads.views import scale_of
from raydet.registry import SAMPLERS
from raydet.structures import Detections, ImageMeta

ANCHORS = {
    "type": "AnchorGenerator",
    "octave_base_scale": 3,
    "scales_per_octave": 1,
    "ratios": [0.5, 1.0, 2.0],
    "strides": [8, 16, 32, 64, 128],
}
LOSS_CLS = {"type": "CrossEntropyLoss", "use_sigmoid": False, "reduction": "none", "loss_weight": 1.0}
LOSS_BBOX = {"type": "SmoothL1Loss", "beta": 1.0, "loss_weight": 1.5}
INIT = {"type": "Xavier", "distribution": "uniform", "bias": 0, "layer": "Conv2d"}


class YOLACTHead(DenseHead):
    """Classes, boxes and mask coefficients from one tower (arXiv:1904.02689).

    The coefficients learn from the masks that `YOLACTProtonet` mixes with them.

    Args:
        num_classes: `K`, without background.
        in_channels: of the feature maps.
        anchor_generator: part or dict.
        loss_cls: part or dict.
        loss_bbox: part or dict.
        num_head_convs: depth of the tower.
        num_protos: prototypes, one coefficient each.
        use_ohem: classes learn from all positives and the hardest negatives, `train_cfg.neg_pos_ratio` (3) for each
            positive; a sampler is ignored.
        conv_cfg: convolution of the tower.
        norm_cfg: normalisation of the tower; None for none.
        init_cfg: weight initialisation.
        **kwargs: see `DenseHead`; `test_cfg` has `nms_pre`, `score_thr`, `iou_thr`, `top_k` and `max_per_img`.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        anchor_generator: Any = ANCHORS,
        loss_cls: Any = LOSS_CLS,
        loss_bbox: Any = LOSS_BBOX,
        num_head_convs: int = 1,
        num_protos: int = 32,
        use_ohem: bool = True,
        conv_cfg: Any = None,
        norm_cfg: Any = None,
        init_cfg: Any = INIT,
        **kwargs: Any,
    ) -> None:
        self.num_protos = num_protos
        super().__init__(
            num_classes,
            in_channels,
            stacked_convs=num_head_convs,
            conv_cfg=conv_cfg,
            norm_cfg=norm_cfg,
            anchor_generator=anchor_generator,
            loss_cls=loss_cls,
            loss_bbox=loss_bbox,
            init_cfg=init_cfg,
            **kwargs,
        )
        self.use_ohem = use_ohem
        if use_ohem:
            self.sampling, self.sampler = False, SAMPLERS.build({"type": "PseudoSampler"})

    def towers(self) -> dict[str, nn.Module]:
        return {
            "head_convs": conv_tower(
                self.stacked_convs, self.in_channels, self.feat_channels, self.conv_cfg, self.norm_cfg
            )
        }

    def predictors(self) -> tuple[Predictor, ...]:
        return (
            Predictor("conv_cls", "cls", self.cls_out_channels, tower="head_convs"),
            Predictor("conv_reg", "box", 4, tower="head_convs"),
            Predictor("conv_coeff", "coefficients", self.num_protos, tower="head_convs"),
        )

    def forward_level(self, feature: Tensor, level: int) -> tuple[Tensor, ...]:
        classes, boxes, coefficients = super().forward_level(feature, level)
        return classes, boxes, coefficients.tanh()

    def class_loss(self, output: DenseOutput, targets: DenseTargets, avg_factor: float | Tensor) -> Tensor:
        """Of all positives and the hardest negatives of each image; of all negatives where nothing is positive."""
        if not self.use_ohem:
            return super().class_loss(output, targets, avg_factor)
        labels, logits = targets.labels, output["cls"].flatten(0, 1)
        weights = targets.label_weights.flatten()
        loss = self.loss_cls(logits, labels.flatten(), weights, reduction_override="none").view_as(labels)
        positive = labels < self.num_classes
        count = positive.sum(dim=1)
        mined = count * self.training_config.extra.get("neg_pos_ratio", 3)
        return hardest_loss(loss, positive, mined.where(count > 0, labels.shape[1])) / avg_factor

    @torch.no_grad()
    def predict(self, feats: Sequence[Tensor], metas: Sequence[ImageMeta], rescale: bool = False) -> list[Detections]:
        """Detections of every image, in pixels of the original image when `rescale`."""
        output = self.outputs(feats)
        return [self.detect(output, image, meta, rescale)[0] for image, meta in enumerate(metas)]

    def detect(self, output: DenseOutput, image: int, meta: ImageMeta, rescale: bool) -> tuple[Detections, Tensor]:
        """Detections of one image, and their mask coefficients `(D, M)`."""
        config, scores = self.test_config, self.scores(output)[image]
        index = self._best(scores, output)
        boxes = self.decode(output, image, index, meta.img_shape[:2])
        if rescale:
            boxes = boxes / scale_of(meta, boxes)
        with_background = torch.cat([scores[index], scores.new_zeros(len(index), 1)], dim=1)
        thresholds = (config.score_thr, config.extra.get("iou_thr", 0.5), config.extra.get("top_k", 200))
        dets, labels, coefficients = fast_nms(
            boxes, with_background, output["coefficients"][image, index], *thresholds, config.max_per_img
        )
        return Detections(dets[:, :4], dets[:, 4], labels), coefficients

    def _best(self, scores: Tensor, output: DenseOutput) -> Tensor:
        """`(M,)` indices of the `nms_pre` priors of each level that have the highest score of any class."""
        parts = []
        levels = output.layout.split(scores.amax(dim=1), 0)
        for best, start in zip(levels, output.layout.starts, strict=True):
            count = min(self.test_config.nms_pre, len(best)) if self.test_config.nms_pre > 0 else len(best)
            parts.append(best.topk(count).indices + start)
        return torch.cat(parts)
