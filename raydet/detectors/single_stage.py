"""Detectors of a backbone, a neck and one dense head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raydet.detectors.base import BaseDetector
from raydet.detectors.parts import with_settings
from raydet.detectors.sole_head import SoleHead
from raydet.registry import HEADS


class OneHead(SoleHead):
    """A detector with one dense head: mix it in before `BaseDetector`.

    Args:
        backbone: part or dict.
        neck: part or dict, or None.
        bbox_head: part or dict.
        train_cfg: settings of the head's training.
        test_cfg: settings of the head's prediction.
        pretrained: deprecated: checkpoint of the backbone; use its `init_cfg`.
        init_cfg: weight initialisation.
    """

    def __init__(
        self,
        backbone: Any,
        neck: Any = None,
        bbox_head: Any = None,
        train_cfg: Mapping[str, Any] | None = None,
        test_cfg: Mapping[str, Any] | None = None,
        pretrained: str | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(backbone, neck, pretrained, init_cfg)  # type: ignore[call-arg]
        self.bbox_head = HEADS.build(with_settings(bbox_head, train_cfg, test_cfg))

    @property
    def head(self) -> Any:
        return self.bbox_head

    def set_epoch(self, epoch: int) -> None:
        """Tell the head in which epoch it learns; some change what they learn along a run."""
        self.bbox_head.epoch = epoch

    def training_state(self) -> dict[str, Any] | None:
        """What a resumed run needs besides the weights: whatever the head says, if it does."""
        asked = getattr(self.bbox_head, "training_state", None)
        return asked() if asked else None

    def load_training_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `training_state` gave."""
        self.bbox_head.load_training_state(state)


class SingleStageDetector(OneHead, BaseDetector):
    """Backbone, optional neck, one dense head. RetinaNet and its kin are names for it."""
