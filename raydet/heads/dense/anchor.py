"""The plain anchor head: one convolution for classes, one for boxes."""

from __future__ import annotations

from raydet.heads.dense.base import DenseHead
from raydet.heads.dense.output import Predictor


class AnchorHead(DenseHead):
    """Classes and boxes straight from the feature maps."""

    def predictors(self) -> tuple[Predictor, ...]:
        return (
            Predictor("conv_cls", "cls", self.cls_out_channels, kernel=1),
            Predictor("conv_reg", "box", 4, kernel=1),
        )
