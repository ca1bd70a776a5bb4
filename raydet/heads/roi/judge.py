"""A stage of a RoI head as samplers that mine hard boxes see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from raydet.heads.roi.base import RoIHead


@dataclass(frozen=True)
class StageJudge:
    """A `raydet.assignment.Judge`; stages are looked up late, since they hold the sampler that asks."""

    head: RoIHead
    number: int

    @property
    def bbox_head(self) -> Any:
        return self.head.stages[self.number].bbox_head

    def judge(self, feats: Sequence[Tensor], rois: Tensor) -> tuple[Tensor, Tensor | None]:
        """Class logits and box codes of rois `(R, 5)`."""
        output = self.head.run_boxes(self.head.stages[self.number], feats, rois)
        return output.cls_score, output.bbox_pred
