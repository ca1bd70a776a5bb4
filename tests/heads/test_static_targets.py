"""Targets of static shapes: the same losses and gradients, whatever the number of objects."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from dense_settings import ASCEND, ASSIGNER, SIZES
from dense_settings import HEADS as SETTINGS
from torch import Tensor

from raydet.registry import HEADS
from raydet.structures import Batch, GroundTruth, ImageMeta

BOXES = [[10.0, 8.0, 42.0, 40.0], [40.0, 20.0, 90.0, 60.0], [0.0, 0.0, 20.0, 20.0]]


def feats(num: int) -> list[Tensor]:
    return [torch.randn(num, 8, h, w, generator=torch.Generator().manual_seed(h)) for h, w in SIZES]


def batch(*counts: int, ignored: bool = False) -> Batch:
    regions = torch.tensor([[60.0, 0.0, 96.0, 30.0]]) if ignored else None
    truths = [
        GroundTruth(torch.tensor(BOXES[:num]).view(-1, 4), torch.arange(num), ignored=regions if i == 0 else None)
        for i, num in enumerate(counts)
    ]
    metas = [ImageMeta.from_dict({"img_shape": (64, 96), "pad_shape": (64, 64 + 32 * i)}) for i in range(len(counts))]
    return Batch(torch.zeros(len(counts), 3, 64, 96), metas, truths)


def make(name: str, assigner: dict[str, Any], **changes: Any) -> Any:
    torch.manual_seed(0)
    settings = SETTINGS[name]
    head = HEADS.build(
        {"type": name, **settings, "train_cfg": {**settings["train_cfg"], "assigner": assigner}, **changes}
    )
    head.init_weights()
    return head


@pytest.mark.parametrize("ignored", [False, True])
@pytest.mark.parametrize("counts", [(2, 3), (0, 1), (0, 0)])
@pytest.mark.parametrize("name", ["AscendAnchorHead", "AscendRetinaHead", "AscendSSDHead"])
def test_losses_and_gradients_do_not_depend_on_the_form_of_targets(
    name: str, counts: tuple[int, ...], ignored: bool
) -> None:
    rules = {"ignore_iof_thr": 0.5} if ignored else {}
    losses, gradients = [], []
    for assigner in (ASSIGNER, ASCEND):
        head = make(name, {**assigner, **rules})
        found = head.loss(feats(len(counts)), batch(*counts, ignored=ignored))
        sum(found.values()).backward()
        losses.append(found)
        gradients.append([p.grad for p in head.parameters()])
    torch.testing.assert_close(losses[0], losses[1])
    torch.testing.assert_close(gradients[0], gradients[1])


def test_shapes_do_not_depend_on_the_number_of_objects() -> None:
    head = make("AscendRetinaHead", ASCEND)
    shapes = set()
    for counts in ((0, 0), (3, 1)):
        targets = head.targets(head.outputs(feats(2)), batch(*counts))
        shapes.add((targets.positive.shape, targets.boxes.shape, targets.label_weights.shape))
    assert len(shapes) == 1


def test_decoded_boxes_are_compared_where_there_is_an_object() -> None:
    losses = [
        make("AscendRetinaHead", assigner, reg_decoded_bbox=True, loss_bbox={"type": "GIoULoss"}).loss(
            feats(2), batch(2, 0)
        )
        for assigner in (ASSIGNER, ASCEND)
    ]
    torch.testing.assert_close(losses[0], losses[1])
