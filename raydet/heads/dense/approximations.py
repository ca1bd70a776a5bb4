"""Squares that stand for several anchors: whichever of them fits best speaks for the square (arXiv:1901.03278)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from raydet.assignment.approx_max_iou import ApproxMaxIoUAssigner
from raydet.assignment.result import AssignResult
from raydet.geometry import anchor_inside_flags
from raydet.heads.dense.layout import LevelLayout
from raydet.structures import GroundTruth, ImageMeta


class Approximations:
    """The anchors behind the squares of a dense head.

    Args:
        generator: of the anchors, `A` per square.
        layout: of the squares.
        like: a tensor of the wanted type and device.
    """

    def __init__(self, generator: Any, layout: LevelLayout, like: Tensor) -> None:
        self.generator = generator
        self.sizes = list(layout.sizes)
        self.num = int(generator.num_base_priors[0])
        self.anchors = torch.cat(generator.grid_priors(self.sizes, dtype=like.dtype, device=like.device))

    def inside(self, metas: Sequence[ImageMeta], allowed_border: float) -> list[Tensor | None]:
        """Per image, a bool mask `(R,)` of the squares that have an anchor that may learn."""
        return [self._inside(meta, allowed_border) for meta in metas]

    def _inside(self, meta: ImageMeta, allowed_border: float) -> Tensor:
        valid = torch.cat(self.generator.valid_flags(self.sizes, meta.pad_shape, device=self.anchors.device))
        inside = anchor_inside_flags(self.anchors, valid, meta.img_shape, allowed_border)
        assert inside is not None
        return inside.view(-1, self.num).any(dim=1)

    def assign(
        self, assigner: ApproxMaxIoUAssigner, inside: Tensor | None, squares: Tensor, truth: GroundTruth
    ) -> AssignResult:
        """Match the `squares` of an image, those `inside`, with its ground truths."""
        anchors = self.anchors.view(-1, self.num, 4)
        some = anchors if inside is None else anchors[inside]
        return assigner.assign(some.reshape(-1, 4), squares, self.num, truth.boxes, truth.ignored, truth.labels)
