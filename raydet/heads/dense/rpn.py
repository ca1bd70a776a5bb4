"""The region proposal network: a dense head whose predictions are proposals."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from raydet.heads.dense.base import INIT, DenseHead
from raydet.heads.dense.output import Predictor
from raydet.heads.dense.proposals import Proposals, check_one_class
from raydet.heads.dense.towers import conv_tower


class RPNHead(Proposals, DenseHead):
    """Object or not, and where, at every anchor (arXiv:1506.01497).

    Args:
        in_channels: of the feature maps.
        init_cfg: weight initialisation.
        num_convs: 3x3 convolutions before the predictors.
        num_classes: always 1, object.
        **kwargs: see `DenseHead`.

    Raises:
        ValueError: `num_classes` is not 1.
    """

    def __init__(
        self, in_channels: int, init_cfg: Any = INIT, num_convs: int = 1, num_classes: int = 1, **kwargs: Any
    ) -> None:
        check_one_class(num_classes)
        self.num_convs = num_convs
        super().__init__(num_classes, in_channels, init_cfg=init_cfg, **kwargs)

    def towers(self) -> dict[str, nn.Module]:
        if self.num_convs == 1:
            return {"rpn_conv": nn.Conv2d(self.in_channels, self.feat_channels, 3, padding=1)}
        return {"rpn_conv": conv_tower(self.num_convs, self.in_channels, self.feat_channels, inplace=False)}

    def run_tower(self, name: str, feature: Tensor, level: int) -> Tensor:
        return F.relu(super().run_tower(name, feature, level))

    def predictors(self) -> tuple[Predictor, ...]:
        return (
            Predictor("rpn_cls", "cls", self.cls_out_channels, tower="rpn_conv", kernel=1),
            Predictor("rpn_reg", "box", 4, tower="rpn_conv", kernel=1),
        )
