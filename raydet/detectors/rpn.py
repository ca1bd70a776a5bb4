"""Region proposals as a detector of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from raydet.detectors.base import BaseDetector
from raydet.detectors.parts import section, with_settings
from raydet.detectors.sole_head import SoleHead
from raydet.registry import HEADS
from raydet.structures import Detections


class RPN(SoleHead, BaseDetector):
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
    def head(self) -> Any:
        return self.rpn_head

    @property
    def num_classes(self) -> int:
        return 1

    def to_result(self, found: Detections) -> np.ndarray:
        return found.rows()
