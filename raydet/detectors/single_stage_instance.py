"""Detectors whose one head finds masks without boxes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raydet.detectors.base import BaseDetector
from raydet.detectors.parts import with_settings
from raydet.detectors.sole_head import SoleHead
from raydet.registry import HEADS


class SingleStageInstanceSegmentor(SoleHead, BaseDetector):
    """Backbone, optional neck, one mask head. SOLO and SOLOv2 are names for it.

    In results, boxes are zeros that carry the scores.

    Args:
        backbone: part or dict.
        neck: part or dict, or None.
        bbox_head: must be None.
        mask_head: part or dict.
        train_cfg: settings of the head's training.
        test_cfg: settings of the head's prediction.
        pretrained: deprecated: checkpoint of the backbone; use its `init_cfg`.
        init_cfg: weight initialisation.

    Raises:
        ValueError: a `bbox_head`, or no `mask_head`.
    """

    predict_augmented = BaseDetector.predict_augmented

    def __init__(
        self,
        backbone: Any,
        neck: Any = None,
        bbox_head: Any = None,
        mask_head: Any = None,
        train_cfg: Mapping[str, Any] | None = None,
        test_cfg: Mapping[str, Any] | None = None,
        pretrained: str | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(backbone, neck, pretrained, init_cfg)
        if bbox_head is not None or mask_head is None:
            raise ValueError(
                f"{type(self).__name__} finds masks by its mask_head alone, got bbox_head={bbox_head!r} "
                f"and mask_head={mask_head!r}"
            )
        self.mask_head = HEADS.build(with_settings(mask_head, train_cfg, test_cfg))

    @property
    def head(self) -> Any:
        return self.mask_head
