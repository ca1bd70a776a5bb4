"""What detectors tell their heads along a run, and what a teacher tells a student."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch

from raydet.engine.hooks.simple import SetEpochInfoHook


def test_head_knows_the_epoch(tiny: Any) -> None:
    model = tiny.make("RetinaNet")
    SetEpochInfoHook().before_train_epoch(SimpleNamespace(model=model, epoch=5))
    assert model.bbox_head.epoch == 5


def test_student_learns_what_the_teacher_finds_probable(tiny: Any) -> None:
    model = tiny.make("LAD").train()
    taught = []
    model.bbox_head.loss_taught = lambda feats, targets: taught.append(targets) or {"loss_cls": feats[0].sum()}
    model(**tiny.training_batch("LAD"))
    teacher = model.teacher_model
    assert not teacher.training
    assert not any("teacher" in key for key in model.state_dict())
    seen = []
    plain = teacher.bbox_head.targets
    teacher.bbox_head.targets = lambda output, batch: seen.append(plain(output, batch)) or seen[-1]
    model(**tiny.training_batch("LAD"))
    assert torch.equal(taught[0].positive, seen[0].positive)
    assert torch.equal(taught[0].labels, seen[0].labels)
