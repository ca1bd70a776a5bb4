"""LD: the distributions of a larger network teach those of a smaller one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from raydet.heads.dense.base import DenseHead
from raydet.heads.dense.distribution import DistributionBoxes
from raydet.layers import mean_over_ranks
from raydet.registry import LOSSES
from raydet.structures import Batch

DISTILLATION_LOSS = {"type": "LocalizationDistillationLoss", "loss_weight": 0.25, "T": 10}


class LDHead(DistributionBoxes, DenseHead):
    """GFL's head that also learns the distributions of a teacher at the positives (arXiv:2102.12252).

    Args:
        num_classes: `K`, without background.
        in_channels: of the feature maps.
        loss_ld: part or dict: loss against the teacher's distributions.
        **kwargs: see `DistributionBoxes` and `DenseHead`.
    """

    def __init__(self, num_classes: int, in_channels: int, loss_ld: Any = DISTILLATION_LOSS, **kwargs: Any) -> None:
        super().__init__(num_classes, in_channels, **kwargs)
        self.loss_ld = LOSSES.build(loss_ld)

    def loss_with_teacher(self, feats: Sequence[Tensor], batch: Batch, taught: Any) -> dict[str, Tensor]:
        """Losses of a batch, given what the teacher's head returned for it: its maps, classes first."""
        output, teacher = self.outputs(feats), self.flatten(taught)
        targets = self.targets(output, batch)
        rows = targets.positive
        bins = self.reg_max + 1
        trust = output.rows("cls", rows).detach().sigmoid().amax(dim=1)
        student, soft = (each.rows("box", rows).reshape(-1, bins) for each in (output, teacher))
        weight = trust[:, None].expand(-1, 4).reshape(-1)
        return {
            **self.losses(output, targets),
            "loss_ld": self.loss_ld(student, soft, weight=weight, avg_factor=4.0),
        }

    def total_trust(self, trust: Tensor) -> Tensor:
        return mean_over_ranks(trust.sum() + 1e-6, trust)
