"""A detector that learns from a larger one, its teacher."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from raydet.config import Config
from raydet.detectors.base import BaseDetector
from raydet.detectors.single_stage import OneHead
from raydet.registry import DETECTORS, INITIALIZERS
from raydet.structures import Batch


class Teacher:
    """A network that its owner neither trains, saves nor counts among its parameters.

    Args:
        model: the network, not yet loaded.
        checkpoint: its weights; None leaves them as they are.
        always_eval: keep it in evaluation mode, whatever the mode of its owner.
    """

    def __init__(self, model: nn.Module, checkpoint: str | None, always_eval: bool) -> None:
        self.model = model
        self.checkpoint = checkpoint
        self.always_eval = always_eval

    def beside(self, owner: nn.Module) -> Any:
        """The network on the device and in the mode of its owner; loads the weights when first asked, in training."""
        if self.checkpoint is not None:
            INITIALIZERS.build({"type": "Pretrained", "checkpoint": self.checkpoint})(self.model)
            self.checkpoint = None
        self.model.train(owner.training and not self.always_eval)
        return self.model.to(next(owner.parameters()).device)


class KnowledgeDistillationSingleStageDetector(OneHead, BaseDetector):
    """A detector with one dense head that is also taught by the head of a trained detector (arXiv:1503.02531).

    Args:
        backbone: part or dict.
        neck: part or dict, or None.
        bbox_head: part or dict; its `loss_with_teacher` takes what the teacher's head returns.
        teacher_config: a config, its file or its dict, with the teacher's `model`.
        teacher_ckpt: weights of the teacher: path, URL or name.
        eval_teacher: keep the teacher in evaluation mode.
        train_cfg: settings of the head's training.
        test_cfg: settings of the head's prediction.
        pretrained: deprecated: checkpoint of the backbone; use its `init_cfg`.
    """

    def __init__(
        self,
        backbone: Any,
        neck: Any,
        bbox_head: Any,
        teacher_config: Any,
        teacher_ckpt: str | None = None,
        eval_teacher: bool = True,
        train_cfg: Mapping[str, Any] | None = None,
        test_cfg: Mapping[str, Any] | None = None,
        pretrained: str | None = None,
    ) -> None:
        super().__init__(backbone, neck, bbox_head, train_cfg, test_cfg, pretrained)
        config = Config.fromfile(teacher_config) if isinstance(teacher_config, str) else teacher_config
        self.eval_teacher = eval_teacher
        self._teacher = Teacher(DETECTORS.build(config["model"]), teacher_ckpt, eval_teacher)

    @property
    def teacher_model(self) -> Any:
        """The teacher, which is not in the state_dict."""
        return self._teacher.model

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Losses of a batch against its ground truth and against the teacher."""
        with torch.no_grad():
            teacher = self._teacher.beside(self)
            taught = teacher.bbox_head(teacher.features(batch.images))
        losses: dict[str, Tensor] = self.bbox_head.loss_with_teacher(self.features(batch.images), batch, taught)
        return losses
