"""Box heads, extractors and cascades."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from raydet.heads.roi.base import RoIHead, RoIStage
from raydet.heads.roi.bbox import BBoxHead, ConvFCBBoxHead, Shared2FCBBoxHead
from raydet.heads.roi.regions import RegionTargets, join_rois, region_targets, rescale_rois
from raydet.heads.roi.standard import StandardRoIHead
from raydet.layers import ModuleList
from raydet.registry import HEADS, ROI_EXTRACTORS
from raydet.structures import Batch, GroundTruth, ImageMeta

EXTRACTOR = {
    "type": "SingleRoIExtractor",
    "roi_layer": {"type": "RoIAlign", "output_size": 7, "sampling_ratio": 2},
    "out_channels": 4,
    "featmap_strides": [4, 8],
    "finest_scale": 16,
}
SMALL: dict[str, Any] = {"in_channels": 4, "num_classes": 3}
TRAIN = {
    "assigner": {"type": "MaxIoUAssigner", "pos_iou_thr": 0.5, "neg_iou_thr": 0.5, "min_pos_iou": 0.5},
    "sampler": {"type": "RandomSampler", "num": 100, "pos_fraction": 0.25, "add_gt_as_proposals": True},
}
TEST = {"score_thr": 0.0, "nms": {"type": "nms", "iou_threshold": 0.5}, "max_per_img": 20}
BOX_HEADS = [n for n in HEADS if isinstance(kind := HEADS.get(n), type) and issubclass(kind, BBoxHead)]
TRUTH = torch.tensor([[4.0, 4, 30, 30], [20, 10, 60, 40]])
META = ImageMeta.from_dict({"img_shape": (64, 64, 3)})


def feats(num: int = 2) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(num, 4, s, s, generator=generator) for s in (16, 8)]


def proposals(num: int = 2) -> list[Tensor]:
    return [torch.cat([TRUTH + 2, TRUTH - 3, TRUTH + 12]).clamp(0, 64) for _ in range(num)]


def batch(num: int = 2) -> Batch:
    return Batch(torch.zeros(num, 3, 64, 64), [META] * num, [GroundTruth(TRUTH, torch.tensor([0, 2]))] * num)


def targets(num_pos: int, num_neg: int) -> RegionTargets:
    boxes = TRUTH[:1].expand(num_pos + num_neg, -1) + 1
    labels = torch.tensor([1] * num_pos + [3] * num_neg, dtype=torch.long)
    truth = TRUTH[:1].expand(num_pos, -1)
    return RegionTargets(
        join_rois([boxes]), labels, torch.ones(len(boxes)), torch.arange(num_pos), truth, [num_pos + num_neg]
    )


@pytest.mark.parametrize("num_pos", [0, 2])
@pytest.mark.parametrize("name", BOX_HEADS)
def test_box_head_loss_is_finite_and_reaches_every_parameter(name: str, num_pos: int) -> None:
    head = HEADS.build({"type": name, **SMALL, "fc_out_channels": 16})
    goal = targets(num_pos, 3)
    losses = head.loss(*head(torch.randn(num_pos + 3, 4, 7, 7)), goal)
    (losses["loss_cls"] + losses["loss_bbox"]).backward()
    assert set(losses) == {"loss_cls", "acc", "loss_bbox"}
    assert torch.isfinite(losses["loss_cls"] + losses["loss_bbox"])
    assert [key for key, p in head.named_parameters() if p.grad is None] == []


def test_box_head_without_regions_still_has_losses() -> None:
    head = Shared2FCBBoxHead(**SMALL)
    losses = head.loss(*head(torch.zeros(0, 4, 7, 7)), targets(0, 0))
    assert losses["loss_cls"].item() == losses["loss_bbox"].item() == 0


def test_box_loss_is_divided_by_all_regions() -> None:
    head = BBoxHead(**SMALL, loss_bbox={"type": "L1Loss"})
    codes = torch.zeros(4, 12)
    few, many = (head.loss(torch.zeros(n, 4), codes[:n], targets(1, n - 1))["loss_bbox"] for n in (2, 4))
    assert few.item() == pytest.approx(2 * many.item())


def test_box_head_layers_have_the_keys_of_2x() -> None:
    head = ConvFCBBoxHead(**SMALL, num_shared_convs=1, num_shared_fcs=1, num_cls_fcs=1, conv_out_channels=4)
    shapes = {key: tuple(value.shape) for key, value in head.state_dict().items() if key.endswith("weight")}
    assert shapes == {
        "fc_cls.weight": (4, 1024),
        "fc_reg.weight": (12, 1024),
        "shared_convs.0.conv.weight": (4, 4, 3, 3),
        "shared_fcs.0.weight": (1024, 196),
        "cls_fcs.0.weight": (1024, 1024),
    }


def test_class_agnostic_regression_has_four_outputs() -> None:
    head = BBoxHead(**SMALL, reg_class_agnostic=True, with_avg_pool=True)
    assert head(torch.zeros(2, 4, 7, 7))[1].shape == (2, 4)
    assert head.fc_cls.in_features == 4


@pytest.mark.parametrize(
    "wrong",
    [
        {"with_cls": False, "with_reg": False},
        {"num_shared_fcs": 1, "num_cls_convs": 1},
        {"with_reg": False, "num_reg_fcs": 1},
    ],
    ids=["no branch", "convolution after linear", "layers of no branch"],
)
def test_impossible_box_head_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must|needs"):
        BBoxHead(**wrong)


def test_box_head_uses_the_channels_and_activation_of_its_loss() -> None:
    class OwnLoss(torch.nn.Module):
        custom_cls_channels = custom_activation = True

        def get_cls_channels(self, num_classes: int) -> int:
            return num_classes + 2

        def get_activation(self, scores: Tensor) -> Tensor:
            return scores[:, :4].sigmoid()

    head = BBoxHead(**SMALL, loss_cls=OwnLoss())
    assert head.fc_cls.out_features == 5
    assert head.probabilities(torch.zeros(2, 5)).tolist() == [[0.5] * 4] * 2


def test_regions_go_to_the_level_of_their_size() -> None:
    extractor = ROI_EXTRACTORS.build({**EXTRACTOR, "featmap_strides": [4, 8, 16]})
    sides = torch.tensor([4.0, 31, 33, 63, 65, 1000])
    rois = torch.stack([sides * 0, sides * 0, sides * 0, sides, sides], dim=1)
    assert extractor.levels_of(rois).tolist() == [0, 0, 1, 1, 2, 2]


def test_extractor_keeps_the_order_of_regions() -> None:
    extractor = ROI_EXTRACTORS.build(EXTRACTOR)
    rois = join_rois([torch.cat([TRUTH, TRUTH / 4])])
    together = extractor(feats(1), rois)
    torch.testing.assert_close(together, torch.cat([extractor(feats(1), roi[None]) for roi in rois]))


@pytest.mark.parametrize("num", [0, 1])
def test_levels_without_regions_stay_in_the_graph(num: int) -> None:
    maps = [each.requires_grad_() for each in feats(1)]
    ROI_EXTRACTORS.build(EXTRACTOR)(maps, join_rois([TRUTH[:num]])).sum().backward()
    assert all(each.grad is not None for each in maps)


def test_regions_are_rescaled_around_their_centres() -> None:
    assert rescale_rois(torch.tensor([[1.0, 0, 0, 10, 20]]), 2.0).tolist() == [[1, -5, -10, 15, 30]]


class Cascade(RoIHead):
    """Stages under the names that 2.x gives to cascades."""

    def __init__(self, heads: Sequence[BBoxHead], standard: StandardRoIHead, weights: Sequence[float]) -> None:
        super().__init__()
        self.shared_head, self.test_config = None, standard.test_config
        self.bbox_head = ModuleList(heads)
        self.standard = [standard]
        self.weights = weights

    @property
    def stages(self) -> list[RoIStage]:
        one = self.standard[0].stages[0]
        return [
            RoIStage(one.extractor, head, one.config, one.assigner, one.sampler, prefix=f"s{i}.", weight=weight)
            for i, (head, weight) in enumerate(zip(self.bbox_head, self.weights, strict=True))
        ]


@pytest.fixture
def standard() -> Any:
    torch.manual_seed(0)
    box_head = {"type": "Shared2FCBBoxHead", **SMALL, "fc_out_channels": 16}
    head = StandardRoIHead(EXTRACTOR, box_head, train_cfg=TRAIN, test_cfg=TEST)
    head.init_weights()
    return head


def test_cascade_of_one_equals_the_standard_head(standard: Any) -> None:
    cascade = Cascade([standard.bbox_head], standard, [1.0])
    expected, losses = (head.loss(feats(), proposals(), batch()) for head in (standard, cascade))
    assert {key.removeprefix("s0."): value.item() for key, value in losses.items()} == {
        key: value.item() for key, value in expected.items()
    }
    for ours, theirs in zip(
        cascade.predict(feats(), proposals(), [META] * 2),
        standard.predict(feats(), proposals(), [META] * 2),
        strict=True,
    ):
        torch.testing.assert_close(ours.boxes, theirs.boxes)


@pytest.mark.parametrize("counts", [(0, 6), (0, 0)], ids=["one image", "no image"])
def test_images_without_proposals_have_no_detections(standard: Any, counts: tuple[int, int]) -> None:
    given = [each[:count] for each, count in zip(proposals(), counts, strict=True)]
    found = standard.predict(feats(), given, [META] * 2)
    assert [len(each) > 0 for each in found] == [count > 0 for count in counts]


def test_cascade_weighs_the_losses_of_its_stages_but_not_their_accuracy(standard: Any) -> None:
    losses = Cascade([standard.bbox_head] * 2, standard, [1.0, 0.5]).loss(feats(), proposals(), batch())
    halved = Cascade([standard.bbox_head] * 2, standard, [0.5, 0.5]).loss(feats(), proposals(), batch())
    assert set(losses) == {f"s{i}.{name}" for i in range(2) for name in ("loss_cls", "acc", "loss_bbox")}
    assert halved["s0.loss_cls"].item() == pytest.approx(losses["s0.loss_cls"].item() / 2)
    assert torch.equal(halved["s0.acc"], losses["s0.acc"])


def test_hard_regions_are_those_that_the_head_judges_worst() -> None:
    torch.manual_seed(0)
    sampler = {"type": "OHEMSampler", "num": 1, "pos_fraction": 0.0, "add_gt_as_proposals": False}
    box_head = {"type": "Shared2FCBBoxHead", **SMALL, "fc_out_channels": 16}
    head = copy.deepcopy(StandardRoIHead(EXTRACTOR, box_head, train_cfg={**TRAIN, "sampler": sampler}))
    assert head.bbox_sampler.context.head is head
    stage = head.stages[0]
    for image, sample in enumerate(head.sample(stage, feats(), proposals(), batch().truths)):
        rois = join_rois([proposals()[image]] * 2)
        logits = head.run_boxes(stage, feats(), rois).cls_score[rois[:, 0] == image]
        negative = stage.assigner.assign(proposals()[image], TRUTH).gt_inds == 0
        losses = (-logits.log_softmax(dim=1)[:, -1]).masked_fill(~negative, -torch.inf)
        assert negative.sum() > 1
        assert sample.neg_inds.tolist() == [losses.argmax().item()]


def test_refinement_drops_ground_truths_and_moves_the_rest(standard: Any) -> None:
    stage = standard.stages[0]
    samples = standard.sample(stage, feats(), proposals(), batch().truths)
    goal = region_targets(samples, 3)
    scores, codes = torch.zeros(len(goal.rois), 4), torch.zeros(len(goal.rois), 12)
    refined = stage.bbox_head.refine_bboxes(goal, samples, scores, codes, [META] * 2)
    assert [len(each) for each in refined] == [6, 6]


def test_learning_without_settings_says_what_is_missing(standard: Any) -> None:
    bare = StandardRoIHead(EXTRACTOR, standard.bbox_head)
    with pytest.raises(ValueError, match=r"train_cfg.rcnn"):
        bare.loss(feats(), proposals(), batch())


def test_shared_head_runs_before_the_box_head() -> None:
    shared = {"type": "ResLayer", "depth": 18, "stage": 3, "stride": 1}
    extractor = {**EXTRACTOR, "featmap_strides": [16], "out_channels": 256}
    box_head = {"type": "BBoxHead", "in_channels": 512, "num_classes": 3, "with_avg_pool": True, "roi_feat_size": 7}
    head = StandardRoIHead(extractor, box_head, shared_head=shared, train_cfg=TRAIN, test_cfg=TEST)
    assert head.with_shared_head
    assert "shared_head.layer4.0.conv1.weight" in head.state_dict()
    assert len(head.predict([torch.randn(1, 256, 4, 4)], [TRUTH], [META])[0]) > 0
