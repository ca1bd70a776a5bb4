"""LAD: a teacher says which predictions of the student are positive."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from raydet.detectors.base import BaseDetector
from raydet.detectors.distillation import Teacher
from raydet.detectors.single_stage import OneHead, SingleStageDetector
from raydet.structures import Batch


class LAD(OneHead, BaseDetector):
    """A detector with one dense head that learns with the assignment of a trained one (arXiv:2108.10520).

    Args:
        backbone: part or dict.
        neck: part or dict, or None.
        bbox_head: part or dict.
        teacher_backbone: part or dict.
        teacher_neck: part or dict, or None.
        teacher_bbox_head: part or dict, with the same priors as `bbox_head`.
        teacher_ckpt: weights of the teacher: path, URL or name; None leaves them as they are.
        eval_teacher: keep the teacher in evaluation mode.
        train_cfg: settings of the training of both heads.
        test_cfg: settings of the head's prediction.
        pretrained: deprecated: checkpoint of the backbone; use its `init_cfg`.
    """

    def __init__(
        self,
        backbone: Any,
        neck: Any,
        bbox_head: Any,
        teacher_backbone: Any,
        teacher_neck: Any,
        teacher_bbox_head: Any,
        teacher_ckpt: str | None,
        eval_teacher: bool = True,
        train_cfg: Mapping[str, Any] | None = None,
        test_cfg: Mapping[str, Any] | None = None,
        pretrained: str | None = None,
    ) -> None:
        super().__init__(backbone, neck, bbox_head, train_cfg, test_cfg, pretrained)
        self.eval_teacher = eval_teacher
        teacher = SingleStageDetector(teacher_backbone, teacher_neck, teacher_bbox_head, train_cfg, test_cfg)
        self._teacher = Teacher(teacher, teacher_ckpt, eval_teacher)

    @property
    def teacher_model(self) -> Any:
        """The teacher, which is not in the state_dict."""
        return self._teacher.model

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Losses of a batch whose targets are those that the teacher would learn."""
        with torch.no_grad():
            teacher = self._teacher.beside(self)
            head = teacher.bbox_head
            targets = head.targets(head.outputs(teacher.features(batch.images)), batch)
        losses: dict[str, Tensor] = self.bbox_head.loss_taught(self.features(batch.images), targets)
        return losses
