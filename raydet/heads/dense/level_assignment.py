"""Matching by assigners that compare the priors of each level, as ATSS does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from raydet.heads.dense.loss_levels import per_level_counts
from raydet.heads.dense.output import DenseOutput
from raydet.structures import GroundTruth


class AssignedByLevel:
    """What a `DenseHead` with such an assigner adds: mix it in before that class."""

    assigner: Any

    def assign(
        self, output: DenseOutput, inside: Sequence[Tensor | None], image: int, priors: Tensor, truth: GroundTruth
    ) -> Any:
        """Match the `priors` of one image with its ground truths, knowing how many of them each level has."""
        counts = per_level_counts(output, inside[image])
        return self.assigner.assign(priors, counts, truth.boxes, truth.ignored, truth.labels)
