"""Detectors of a backbone, a neck and one dense head."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from raydet.detectors.base import BaseDetector
from raydet.detectors.parts import with_settings
from raydet.registry import HEADS
from raydet.structures import Batch, Detections


class OneHead:
    """What a detector with one dense head does: mix it in before `BaseDetector`.

    Args:
        backbone: part or dict.
        neck: part or dict, or None.
        bbox_head: part or dict.
        train_cfg: settings of the head's training.
        test_cfg: settings of the head's prediction.
        pretrained: deprecated: checkpoint of the backbone; use its `init_cfg`.
        init_cfg: weight initialisation.
    """

    features: Callable[[Tensor], tuple[Tensor, ...]]

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
    def num_classes(self) -> int:
        """`K`."""
        return int(self.bbox_head.num_classes)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Losses of a batch with ground truth."""
        losses: dict[str, Tensor] = self.bbox_head.loss(self.features(batch.images), batch)
        return losses

    def predict(self, batch: Batch, rescale: bool) -> list[Detections]:
        """Detections of every image."""
        found: list[Detections] = self.bbox_head.predict(self.features(batch.images), batch.metas, rescale)
        return found

    def predict_augmented(self, batches: Sequence[Batch], rescale: bool) -> Detections:
        """Detections of one image from several views of it."""
        feats = [self.features(batch.images) for batch in batches]
        found: Detections = self.bbox_head.predict_augmented(feats, [batch.metas[0] for batch in batches], rescale)
        return found

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

    def forward_dummy(self, img: Tensor) -> Any:
        """What the head returns for images."""
        return self.bbox_head(self.features(img))


class SingleStageDetector(OneHead, BaseDetector):
    """Backbone, optional neck, one dense head. RetinaNet and its kin are names for it."""
