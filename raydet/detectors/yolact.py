"""YOLACT: boxes with coefficients, and prototypes that they mix into masks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from raydet.detectors.base import BaseDetector
from raydet.detectors.parts import with_settings
from raydet.registry import HEADS
from raydet.structures import Batch, Detections


class YOLACT(BaseDetector):
    """A single-stage detector with masks (arXiv:1904.02689).

    Args:
        backbone: part or dict.
        neck: part or dict.
        bbox_head: part or dict.
        segm_head: part or dict; helps to learn.
        mask_head: part or dict: the prototypes.
        train_cfg: settings of the box head's training.
        test_cfg: settings of the box head's prediction.
        pretrained: deprecated: checkpoint of the backbone; use its `init_cfg`.
        init_cfg: weight initialisation.
    """

    def __init__(
        self,
        backbone: Any,
        neck: Any,
        bbox_head: Any,
        segm_head: Any,
        mask_head: Any,
        train_cfg: Mapping[str, Any] | None = None,
        test_cfg: Mapping[str, Any] | None = None,
        pretrained: str | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(backbone, neck, pretrained, init_cfg)
        self.bbox_head = HEADS.build(with_settings(bbox_head, train_cfg, test_cfg))
        self.segm_head = HEADS.build(segm_head)
        self.mask_head = HEADS.build(mask_head)

    @property
    def num_classes(self) -> int:
        return int(self.bbox_head.num_classes)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        feats = self.features(batch.images)
        output = self.bbox_head.outputs(feats)
        targets = self.bbox_head.targets(output, batch)
        coefficients = output.rows("coefficients", targets.positive)
        return {
            **self.bbox_head.losses(output, targets),
            **self.segm_head.loss(feats[0], batch),
            **self.mask_head.loss(feats[0], coefficients, targets, batch),
        }

    def predict(self, batch: Batch, rescale: bool) -> list[Detections]:
        feats = self.features(batch.images)
        output, prototypes = self.bbox_head.outputs(feats), self.mask_head(feats[0])
        results = []
        for image, meta in enumerate(batch.metas):
            found, coefficients = self.bbox_head.detect(output, image, meta, rescale)
            masks = self.mask_head.predict(prototypes[image], coefficients, found, meta, rescale)
            results.append(replace(found, masks=masks))
        return results

    def forward_dummy(self, img: Tensor) -> Any:
        feats = self.features(img)
        return self.bbox_head(feats), self.mask_head(feats[0])
