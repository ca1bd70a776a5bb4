"""AutoAssign: center priors, what objects and background learn; NAS-FCOS: its towers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from dense_settings import HEADS as SETTINGS
from dense_settings import SIZES
from torch import Tensor

from raydet.heads.dense.auto_assign import CenterPrior
from raydet.heads.dense.output import DenseOutput
from raydet.registry import HEADS
from raydet.structures import Batch, GroundTruth, ImageMeta

META = ImageMeta.from_dict({"img_shape": (64, 96)})


def make(name: str = "AutoAssignHead", **changes: Any) -> Any:
    torch.manual_seed(0)
    head = HEADS.build({"type": name, **SETTINGS[name], **changes})
    head.init_weights()
    return head


def feats() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(1, 8, h, w, generator=generator) for h, w in SIZES]


def truth(*boxes: list[float], labels: list[int] | None = None) -> GroundTruth:
    return GroundTruth(torch.tensor(boxes).reshape(-1, 4), torch.tensor(labels or [0] * len(boxes)))


def leaves(output: DenseOutput) -> DenseOutput:
    """The same predictions as inputs, so that they have gradients of their own."""
    return replace(output, values={role: value.detach().requires_grad_() for role, value in output.values.items()})


def losses_of(head: Any, output: DenseOutput, *boxes: list[float], labels: list[int] | None = None) -> Any:
    return head.batch_losses(output, Batch(torch.zeros(1, 3, 64, 96), [META], [truth(*boxes, labels=labels)]))


def test_center_prior_falls_with_the_distance_in_cells() -> None:
    prior = CenterPrior(num_classes=2)
    points, strides = torch.tensor([[8.0, 8.0], [16.0, 8.0], [16.0, 8.0]]), torch.tensor([8.0, 8.0, 16.0])
    weight, inside = prior(points, strides, truth([0.0, 0.0, 16.0, 16.0]))
    torch.testing.assert_close(weight[:, 0], torch.tensor([0.0, -0.5, -0.125]).exp())
    assert inside[:, 0].tolist() == [True, False, False]


def test_object_without_points_takes_the_nearest_when_forced() -> None:
    points, strides = torch.tensor([[0.0, 0.0], [8.0, 0.0], [16.0, 0.0]]), torch.full((3,), 8.0)
    small = truth([9.0, 1.0, 11.0, 3.0], [-4.0, -4.0, 4.0, 4.0])
    assert CenterPrior(False, 2, 1)(points, strides, small)[1].any(0).tolist() == [False, True]
    forced = CenterPrior(True, 2, 1)(points, strides, small)[1]
    assert forced.T.tolist() == [[False, True, True], [True, False, False]]


def test_only_points_in_a_box_learn_it() -> None:
    head = make()
    output = leaves(head.outputs(feats()))
    losses_of(head, output, [10.0, 8.0, 50.0, 40.0])["loss_pos"].backward()
    x, y = output.priors.unbind(1)
    inside = (x > 10) & (x < 50) & (y > 8) & (y < 40)
    assert torch.equal(output["box"].grad[0].any(1), inside)
    assert torch.equal(output["cls"].grad[0, :, 0] != 0, inside)


def test_point_whose_box_fits_best_is_no_background_of_its_class() -> None:
    head = make()
    output = head.outputs(feats())
    best = int(((output.priors - torch.tensor([32.0, 24.0])) ** 2).sum(1).argmin())
    output.values["box"].data[0] = 1.0
    sides = torch.tensor([22.0, 16.0, 18.0, 16.0])
    output.values["box"].data[0, best] = sides
    box = torch.cat([output.priors[best] - sides[:2], output.priors[best] + sides[2:]]).tolist()
    output = leaves(output)
    losses_of(head, output, box, labels=[1])["loss_neg"].backward()
    assert (output["cls"].grad[0] == 0).nonzero().tolist() == [[best, 1]]


def test_missed_object_costs_but_does_not_break() -> None:
    losses = losses_of(make(), make().outputs(feats()), [9.0, 9.0, 11.0, 11.0])
    assert losses["loss_center"] == 0
    assert losses["loss_pos"] == 0.25 * 100


def test_boxes_start_large_and_classes_rare() -> None:
    head = make()
    assert (head.conv_reg.bias == 4).all()
    torch.testing.assert_close(head.conv_cls.bias.sigmoid(), torch.full((3,), 0.02))


def test_towers_of_nas_fcos_are_those_of_the_search() -> None:
    head = make("NASFCOSHead", stacked_convs=7)
    convs = [block.conv for block in head.cls_convs]
    assert [type(conv).__name__ for conv in convs] == [
        "ModulatedDeformConv2dPack",
        "Conv2d",
        "ModulatedDeformConv2dPack",
        "Conv2d",
    ]
    assert [conv.bias is not None for conv in convs] == [True, False, True, False]
    assert convs[0].conv_offset.out_channels == 54
    assert convs[-1].kernel_size == (1, 1)
