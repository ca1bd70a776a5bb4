"""What every registered dense head promises, and what the shared base does with a head of another shape."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from dense_settings import ASSIGNER, PLAIN, SIZES, anchor_head
from dense_settings import HEADS as SETTINGS
from torch import Tensor, nn

from raydet.heads.dense.base import DenseHead
from raydet.heads.dense.output import DenseOutput, Predictor
from raydet.heads.dense.towers import conv_tower
from raydet.registry import HEADS
from raydet.structures import Batch, GroundTruth, ImageMeta

DENSE = [n for n in HEADS if isinstance(kind := HEADS.get(n), type) and issubclass(kind, DenseHead)]

LEARNED_ELSEWHERE = ("conv_coeff.",)  # YOLACT's coefficients learn from the masks


def feats(num: int = 2) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(num, 8, h, w, generator=generator) for h, w in SIZES]


def batch(num: int = 2, num_boxes: int = 2, **meta: Any) -> Batch:
    corner = torch.arange(num_boxes)[:, None] * torch.tensor([20.0, 10.0]) + 4
    boxes = torch.cat([corner, corner + 30], dim=1)
    truths = [GroundTruth(boxes, torch.arange(num_boxes) % 3) for _ in range(num)]
    info = {"img_shape": (64, 96), **meta}
    return Batch(torch.zeros(num, 3, 64, 96), [ImageMeta.from_dict(info) for _ in range(num)], truths)


def tensors(given: Batch) -> list[Tensor]:
    return [given.images, *(value for truth in given.truths or () for value in (truth.boxes, truth.labels))]


def make(name: str, **changes: Any) -> Any:
    torch.manual_seed(0)
    head = HEADS.build({"type": name, **SETTINGS[name], **changes})
    head.init_weights()
    return head


def test_every_registered_dense_head_has_settings_here() -> None:
    assert set(DENSE) <= set(SETTINGS)


@pytest.mark.parametrize("num_boxes", [0, 1, 2])
@pytest.mark.parametrize("name", DENSE)
def test_loss_is_finite_and_reaches_every_parameter(name: str, num_boxes: int) -> None:
    head = make(name)
    losses = head.loss(feats(), batch(num_boxes=num_boxes))
    sum(losses.values()).backward()
    assert all(torch.isfinite(value) for value in losses.values())
    learned = [(key, p.grad) for key, p in head.named_parameters() if not key.startswith(LEARNED_ELSEWHERE)]
    assert [key for key, gradient in learned if gradient is None] == []


@pytest.mark.parametrize("num", [1, 3])
@pytest.mark.parametrize("name", DENSE)
def test_predict_gives_sorted_detections_of_every_image(name: str, num: int) -> None:
    found = make(name).predict(feats(num), batch(num).metas)
    assert len(found) == num
    for each in found:
        assert 0 < len(each) <= 10
        assert (each.scores[:-1] >= each.scores[1:]).all()


@pytest.mark.parametrize("name", PLAIN)
def test_softmax_classification_has_a_background_column(name: str) -> None:
    head = make(name, loss_cls={"type": "CrossEntropyLoss", "use_sigmoid": False})
    output = head.outputs(feats())
    assert output["cls"].shape[-1] == head.num_classes + 1
    assert head.scores(output).shape[-1] == head.num_classes
    assert torch.isfinite(sum(head.loss(feats(), batch()).values()))


@pytest.mark.parametrize("name", PLAIN)
def test_box_loss_may_compare_decoded_boxes(name: str) -> None:
    head = make(name, reg_decoded_bbox=True, loss_bbox={"type": "GIoULoss"})
    assert torch.isfinite(sum(head.loss(feats(), batch()).values()))


@pytest.mark.parametrize("name", DENSE)
def test_losses_and_detections_are_float32_under_mixed_precision(name: str) -> None:
    head = make(name)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = head.outputs(feats())
        losses, found = head.loss(feats(), batch()), head.predict(feats(), batch().metas)
    assert output["cls"].dtype == output["box"].dtype == torch.float32
    assert {value.dtype for value in losses.values()} == {torch.float32}
    assert {value.dtype for each in found for value in (each.boxes, each.scores)} == {torch.float32}
    assert torch.isfinite(sum(losses.values()))


@pytest.mark.parametrize("name", DENSE)
def test_inputs_are_left_alone(name: str) -> None:
    maps, given = feats(), batch()
    head = make(name)
    head.loss(maps, given)
    head.predict(maps, given.metas)
    torch.testing.assert_close([*maps, *tensors(given)], [*feats(), *tensors(batch())], rtol=0, atol=0)
    assert repr(given.metas) == repr(batch().metas)


@pytest.mark.parametrize("name", DENSE)
def test_detections_of_an_image_do_not_depend_on_its_batch(name: str) -> None:
    head = make(name).eval()
    for parameter in head.parameters():
        nn.init.normal_(parameter, std=0.2)  # untrained heads give scores that differ by rounding only
    together = head.predict(feats(3), batch(3).metas)
    for image, expected in enumerate(together):
        (alone,) = head.predict([level[image : image + 1] for level in feats(3)], batch(1).metas)
        torch.testing.assert_close(alone.rows(), expected.rows(), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", DENSE)
def test_network_part_is_exported_and_compiled_whole(name: str) -> None:
    head = make(name).eval()
    with torch.no_grad():
        expected = head(feats())
        exported = torch.export.export(head, (feats(),), strict=False).module()
        torch.compiler.reset()  # the heads share code, of which only so many variants are compiled
        compiled = torch.compile(head, backend="aot_eager", fullgraph=True)
        torch.testing.assert_close(exported(feats()), expected)
        torch.testing.assert_close(compiled(feats()), expected)


def test_normaliser_counts_at_least_one_positive_per_image() -> None:
    head = make("RetinaHead")
    targets = head.targets(head.outputs(feats(3)), batch(3, num_boxes=0))
    assert (targets.num_pos, len(targets.positive)) == (3, 0)


def test_priors_in_the_padding_learn_nothing() -> None:
    head = make("RetinaHead")
    targets = head.targets(head.outputs(feats(1)), batch(1, num_boxes=0, pad_shape=(32, 96)))
    rows = targets.label_weights[0, : 8 * 12 * 2].view(8, 12, 2)
    assert rows[:4].all()
    assert not rows[4:].any()


def test_priors_over_the_border_learn_nothing_unless_allowed() -> None:
    train = {"assigner": ASSIGNER, "allowed_border": 0}
    head = make("RetinaHead", train_cfg=train)
    output = head.outputs(feats(1))
    outside = (output.priors[:, :2] < 0).any(1) | (output.priors[:, 2] >= 96) | (output.priors[:, 3] >= 64)
    targets = head.targets(output, batch(1, num_boxes=0))
    assert torch.equal(targets.label_weights[0] == 0, outside)


def test_sampled_head_learns_from_its_samples_only() -> None:
    sampler = {"type": "RandomSampler", "num": 6, "pos_fraction": 0.5, "add_gt_as_proposals": False}
    head = make("RPNHead", train_cfg={"assigner": ASSIGNER, "sampler": sampler})
    targets = head.targets(head.outputs(feats(2)), batch(2))
    assert int((targets.label_weights > 0).sum()) == len(targets.sampled) == 12


def test_sampler_beside_focal_loss_is_ignored_with_a_warning() -> None:
    train = {"assigner": ASSIGNER, "sampler": {"type": "RandomSampler", "num": 6, "pos_fraction": 0.5}}
    with pytest.warns(UserWarning, match="ignored beside FocalLoss"):
        head = make("RetinaHead", train_cfg=train, loss_cls={"type": "FocalLoss", "use_sigmoid": True})
    assert not head.sampling


def test_loss_that_asks_for_it_sees_one_level_at_a_time() -> None:
    class PerLevel(nn.Module):
        per_level = True
        use_sigmoid = True

        def forward(self, pred: Tensor, target: Tensor, weight: Tensor, avg_factor: float) -> Tensor:
            calls.append(len(pred))
            return pred.sum() * 0

    calls: list[int] = []
    make("RetinaHead", loss_cls=PerLevel()).loss(feats(2), batch(2))
    assert calls == [2 * 8 * 12 * 2, 2 * 4 * 6 * 2]


def test_towers_start_as_the_head_says() -> None:
    head = HEADS.build({"type": "RetinaHead", "num_classes": 3, "in_channels": 64, "feat_channels": 64})
    head.init_weights()
    assert 0.009 < head.cls_convs[0].conv.weight.std() < 0.011


def test_modules_of_their_own_per_level_see_only_their_level() -> None:
    head = LevelHead(3, **anchor_head())
    assert {"convs_cls.1.weight", "tower.1.0.conv.weight", "convs_box.0.bias"} <= set(head.state_dict())
    sum(value.sum() for value in head([feats()[0]])[0]).backward()
    assert head.tower[0][0].conv.weight.grad is not None
    assert head.tower[1][0].conv.weight.grad is None


def test_num_classes_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="num_classes must be at least 1, got 0"):
        make("RetinaHead", num_classes=0)


class LevelHead(DenseHead):
    """A head that shares nothing between levels."""

    def towers(self) -> dict[str, nn.Module]:
        levels = range(self.prior_generator.num_levels)
        return {"tower": nn.ModuleList(conv_tower(1, self.in_channels, self.feat_channels) for _ in levels)}

    def predictors(self) -> tuple[Predictor, ...]:
        return (
            Predictor("convs_cls", "cls", self.cls_out_channels, tower="tower", per_level=True),
            Predictor("convs_box", "box", 4, tower="tower", per_level=True),
        )


class CenterHead(DenseHead):
    """A head with a third output, a learned factor per level and factors on its scores."""

    def towers(self) -> dict[str, nn.Module]:
        norm = {"type": "GN", "num_groups": 4}
        return {
            name: conv_tower(1, self.in_channels, self.feat_channels, None, norm) for name in ("cls_convs", "reg_convs")
        }

    def predictors(self) -> tuple[Predictor, ...]:
        return (
            Predictor("atss_cls", "cls", self.cls_out_channels, tower="cls_convs"),
            Predictor("atss_reg", "box", 4, tower="reg_convs", scaled=True),
            Predictor("atss_centerness", "centerness", 1, tower="reg_convs"),
        )

    def score_factors(self, output: DenseOutput) -> Tensor:
        return output["centerness"][..., 0].sigmoid()


def test_a_head_of_another_shape_needs_only_its_declarations() -> None:
    head = CenterHead(3, **anchor_head())
    assert {key for key in head.state_dict() if "convs" not in key} == {
        *(f"atss_{name}.{kind}" for name in ("cls", "reg", "centerness") for kind in ("weight", "bias")),
        "scales.0.scale",
        "scales.1.scale",
    }
    assert "cls_convs.0.gn.weight" in head.state_dict()
    maps = head(feats())
    assert [[tuple(m.shape) for m in levels] for levels in maps[2:]] == [[(2, 2, 8, 12), (2, 2, 4, 6)]]
    found = head.predict(feats(), batch().metas)
    assert all((each.scores <= 0.8).all() and len(each) for each in found)
