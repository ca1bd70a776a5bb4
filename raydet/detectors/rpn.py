"""Region proposals as a detector of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from raydet.detectors.base import BaseDetector
from raydet.detectors.parts import section, with_settings
from raydet.registry import HEADS
from raydet.structures import Batch, Detections


class RPN(BaseDetector):
    """Backbone, neck and an RPN head; the result of an image is one array `(n, 5)` of proposals (arXiv:1506.01497).

    Args:
        backbone: part or dict.
        neck: part or dict, or None.
        rpn_head: part or dict.
        train_cfg: with the section `rpn`.
        test_cfg: with the section `rpn`.
        pretrained: deprecated: checkpoint of the backbone; use its `init_cfg`.
        init_cfg: weight initialisation.
    """

    def __init__(
        self,
        backbone: Any,
        neck: Any,
        rpn_head: Any,
        train_cfg: Mapping[str, Any] | None = None,
        test_cfg: Mapping[str, Any] | None = None,
        pretrained: str | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(backbone, neck, pretrained, init_cfg)
        self.rpn_head = HEADS.build(with_settings(rpn_head, section(train_cfg, "rpn"), section(test_cfg, "rpn")))

    @property
    def num_classes(self) -> int:
        return 1

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = self.rpn_head.loss(self.features(batch.images), batch)
        return losses

    def predict(self, batch: Batch, rescale: bool) -> list[Detections]:
        found: list[Detections] = self.rpn_head.predict(self.features(batch.images), batch.metas, rescale)
        return found

    def predict_augmented(self, batches: Sequence[Batch], rescale: bool) -> Detections:
        feats = [self.features(batch.images) for batch in batches]
        found: Detections = self.rpn_head.predict_augmented(feats, [batch.metas[0] for batch in batches], rescale)
        return found

    def to_result(self, found: Detections) -> np.ndarray:
        return found.rows()

    def forward_dummy(self, img: Tensor) -> Any:
        return self.rpn_head(self.features(img))
