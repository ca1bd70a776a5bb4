"""What detectors with a single head have in common, whatever the head finds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from raydet.structures import Batch, Detections


class SoleHead:
    """Hands everything to `head`: mix it in before `BaseDetector`."""

    features: Callable[[Tensor], tuple[Tensor, ...]]

    @property
    def head(self) -> Any:
        """The part that learns and predicts from the feature maps."""
        raise NotImplementedError

    @property
    def num_classes(self) -> int:
        """`K`."""
        return int(self.head.num_classes)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Losses of a batch with ground truth."""
        losses: dict[str, Tensor] = self.head.loss(self.features(batch.images), batch)
        return losses

    def predict(self, batch: Batch, rescale: bool) -> list[Detections]:
        """Detections of every image."""
        found: list[Detections] = self.head.predict(self.features(batch.images), batch.metas, rescale)
        return found

    def predict_augmented(self, batches: Sequence[Batch], rescale: bool) -> Detections:
        """Detections of one image from several views of it."""
        feats = [self.features(batch.images) for batch in batches]
        found: Detections = self.head.predict_augmented(feats, [batch.metas[0] for batch in batches], rescale)
        return found

    def forward_dummy(self, img: Tensor) -> Any:
        """What the head returns for images."""
        return self.head(self.features(img))
