from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from raydet.losses import GHMC, GHMR, Accuracy, CrossEntropyLoss, FocalLoss, SeesawLoss, accuracy
from raydet.registry import LOSSES

LOGITS = torch.linspace(-2, 2, 12).view(3, 4)


def test_cross_entropy_of_even_logits_is_log_k():
    assert CrossEntropyLoss()(torch.zeros(2, 4), torch.tensor([1, 3])) == pytest.approx(math.log(4))


@pytest.mark.parametrize("at_call", [True, False])
def test_cross_entropy_ignores_a_label(at_call):
    loss = CrossEntropyLoss(ignore_index=None if at_call else 255)
    labels = torch.tensor([1, 255, 2])
    expected = F.cross_entropy(LOGITS, labels, ignore_index=255, reduction="sum") / 3
    torch.testing.assert_close(loss(LOGITS, labels, ignore_index=255 if at_call else None), expected)


@pytest.mark.parametrize("use_sigmoid", [True, False])
def test_avg_non_ignore_leaves_ignored_elements_out_of_the_mean(use_sigmoid):
    labels = torch.tensor([1, 255, 2])
    loss = CrossEntropyLoss(use_sigmoid=use_sigmoid, ignore_index=255, avg_non_ignore=True)
    plain = CrossEntropyLoss(use_sigmoid=use_sigmoid)
    torch.testing.assert_close(loss(LOGITS, labels), plain(LOGITS[[0, 2]], labels[[0, 2]]))


def test_class_weights_scale_softmax_rows():
    each = CrossEntropyLoss(class_weight=[1, 2, 3, 4], reduction="none")(LOGITS, torch.tensor([0, 1, 2]))
    plain = CrossEntropyLoss(reduction="none")(LOGITS, torch.tensor([0, 1, 2]))
    torch.testing.assert_close(each, plain * torch.tensor([1.0, 2, 3]))


def test_sigmoid_cross_entropy_of_background_has_no_positive():
    loss = CrossEntropyLoss(use_sigmoid=True, reduction="none")
    torch.testing.assert_close(loss(LOGITS, torch.tensor([4, 4, 4])), F.softplus(LOGITS))


def test_sigmoid_cross_entropy_takes_targets_of_the_same_shape():
    truth = F.one_hot(torch.tensor([0, 1, 2]), 4)
    loss = CrossEntropyLoss(use_sigmoid=True)
    torch.testing.assert_close(loss(LOGITS, truth), loss(LOGITS, torch.tensor([0, 1, 2])))


def test_mask_cross_entropy_counts_the_mask_of_the_class():
    masks = torch.randn(2, 3, 4, 4)
    truth = torch.rand(2, 4, 4).round()
    loss = CrossEntropyLoss(use_mask=True, loss_weight=2.0)(masks, truth, torch.tensor([2, 0]))
    expected = F.binary_cross_entropy_with_logits(torch.stack([masks[0, 2], masks[1, 0]]), truth)
    torch.testing.assert_close(loss, 2 * expected[None])


def test_sigmoid_and_mask_exclude_each_other():
    with pytest.raises(ValueError, match="use_mask"):
        CrossEntropyLoss(use_sigmoid=True, use_mask=True)


@pytest.mark.parametrize("weight", [torch.tensor([1.0, 0.5, 2.0]), torch.rand(3, 4), torch.rand(12)])
def test_focal_loss_weights_rows_or_elements(weight):
    labels = torch.tensor([0, 4, 2])
    each = FocalLoss(reduction="none")(LOGITS, labels)
    wide = weight[:, None].expand(3, 4) if weight.numel() == 3 else weight.view(3, 4)
    for reduction, factor in (("mean", 1 / 12), ("sum", 1.0)):
        torch.testing.assert_close(FocalLoss(reduction=reduction)(LOGITS, labels, weight), (each * wide).sum() * factor)


def test_focal_loss_with_weights_of_another_length_raises():
    with pytest.raises(ValueError, match="do not fit"):
        FocalLoss()(LOGITS, torch.tensor([0, 4, 2]), torch.ones(5))


def test_focal_loss_of_probabilities_equals_that_of_logits():
    labels = torch.tensor([0, 4, 2])
    torch.testing.assert_close(FocalLoss(activated=True)(LOGITS.sigmoid(), labels), FocalLoss()(LOGITS, labels))


@pytest.mark.parametrize("name", ["FocalLoss", "QualityFocalLoss", "VarifocalLoss", "GHMC", "DiceLoss"])
def test_sigmoid_losses_without_sigmoid_raise(name):
    with pytest.raises(NotImplementedError, match="use_sigmoid"):
        LOSSES.build({"type": name, "use_sigmoid": False})


@pytest.mark.parametrize(
    ("topk", "thresh", "expected"), [(1, None, 50.0), ((1, 2), None, [50.0, 100.0]), (1, 0.95, 0.0)]
)
def test_accuracy_counts_the_best_classes(topk, thresh, expected):
    scores = torch.tensor([[0.9, 0.1, 0.0], [0.5, 0.4, 0.1]])
    result = accuracy(scores, torch.tensor([0, 1]), topk, thresh)
    assert [r.item() for r in result] == expected if isinstance(topk, tuple) else result.item() == expected


def test_accuracy_of_nothing_is_zero():
    assert accuracy(torch.zeros(0, 3), torch.zeros(0)) == 0
    assert Accuracy((1, 2))(torch.zeros(0, 3), torch.zeros(0)) == [0, 0]


@pytest.mark.parametrize(("labels", "topk"), [(torch.tensor([0]), 1), (torch.tensor([0, 1]), 4)])
def test_accuracy_with_wrong_arguments_raises(labels, topk):
    with pytest.raises(ValueError, match=r"expected|exceeds"):
        accuracy(torch.zeros(2, 3), labels, topk)


def test_seesaw_counts_classes_and_splits_objectness():
    loss = SeesawLoss(num_classes=3)
    out = loss(torch.zeros(4, 5), torch.tensor([0, 0, 2, 3]))
    assert loss.cum_samples.tolist() == [2, 0, 1, 1]
    assert out["loss_cls_objectness"] == pytest.approx(math.log(2))
    scores = loss.get_activation(torch.zeros(1, 5))
    torch.testing.assert_close(scores, torch.tensor([[1 / 6, 1 / 6, 1 / 6, 0.5]]))


def test_seesaw_without_objects_has_a_class_loss_of_zero():
    logits = torch.zeros(2, 5, requires_grad=True)
    loss = SeesawLoss(num_classes=3, return_dict=False)(logits, torch.tensor([3, 3]))
    loss.backward()
    assert loss.item() == pytest.approx(math.log(2))


def test_seesaw_with_other_columns_raises():
    with pytest.raises(ValueError, match="columns"):
        SeesawLoss(num_classes=3)(torch.zeros(2, 4), torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="classes"):
        SeesawLoss(num_classes=3).get_cls_channels(5)


@pytest.mark.parametrize("momentum", [0, 0.5])
def test_ghm_gives_each_occupied_bin_the_same_sum(momentum):
    loss = GHMC(bins=4, momentum=momentum)
    norm = torch.tensor([0.1, 0.1, 0.1, 0.9])
    weight = loss.balance(norm, torch.ones(4, dtype=torch.bool), torch.tensor(4.0))
    torch.testing.assert_close(weight[:3].sum(), weight[3])
    assert ("acc_sum" in loss.state_dict()) == (momentum > 0)


def test_ghm_of_unweighted_examples_is_zero():
    assert GHMC()(LOGITS, torch.tensor([0, 1, 2]), torch.zeros(3)) == 0
    assert GHMR()(LOGITS, LOGITS + 1, torch.zeros(3, 4)) == 0
