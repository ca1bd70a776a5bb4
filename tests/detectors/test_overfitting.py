"""One-stage detectors learn four real images by heart: their targets, losses and decoding fit each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch
from overfitting import average_precision, learn, recall, small, tiles

from raydet.heads.dense.base import DenseHead
from raydet.models import build_detector
from raydet.registry import HEADS

# Proposals that overlap by half count as one.
APART = {"test_cfg": {"rpn": {"nms": {"iou_threshold": 0.5}}}}
LARGER = {"size": 256, "steps": 200}
HOURGLASS = {
    "backbone": {
        "downsample_times": 4,
        "stage_channels": [32, 32, 48, 48, 64],
        "stage_blocks": [1, 1, 1, 1, 2],
        "feat_channel": 32,
    },
    "bbox_head": {"in_channels": 32},
}
# Fewer cells than usual take less time and are enough for so few objects.
GRIDS = {"changes": {"mask_head": {"num_grids": [24, 16, 12, 8, 6]}}, "steps": 400}
# Config -> how its small version differs, and how it is trained:
#   changes: of the model, and `divide`, see `small`
#   soft: losses that do not go to zero: cross-entropies with soft targets, whose least value is the targets' entropy,
#       and AutoAssign's center prior, whose weights are at most 1
#   size, steps, rate: of the images, of the training
#   proposals: the best so many of an image must overlap nine in ten objects. An RPN learns nothing from anchors that
#       overlap objects by 0.3 to 0.7, so some of those score high and its precision stays low
CASES: dict[str, dict[str, Any]] = {
    "retinanet/retinanet_r50_fpn_1x_coco": {},
    "fcos/fcos_r50_caffe_fpn_gn-head_1x_coco": {**LARGER, "soft": ["loss_centerness"]},
    "atss/atss_r50_fpn_1x_coco": {**LARGER, "soft": ["loss_centerness"]},
    "gfl/gfl_r50_fpn_1x_coco": {**LARGER, "soft": ["loss_dfl"]},
    "paa/paa_r50_fpn_1x_coco": {"soft": ["loss_iou"]},
    "vfnet/vfnet_r50_fpn_1x_coco": {"soft": ["loss_cls"]},
    "tood/tood_r50_fpn_1x_coco": {"changes": {"train_cfg": {"initial_epoch": 0}}},
    "ddod/ddod_r50_fpn_1x_coco": {"soft": ["loss_iou"]},
    "autoassign/autoassign_r50_fpn_8x2_1x_coco": {"size": 256, "steps": 400, "soft": ["loss_center"]},
    "nas_fcos/nas_fcos_nashead_r50_caffe_fpn_gn-head_4x4_1x_coco": {"soft": ["loss_centerness"]},
    "fsaf/fsaf_r50_fpn_1x_coco": LARGER,
    "foveabox/fovea_r50_fpn_4x4_1x_coco": {},
    "reppoints/reppoints_moment_r50_fpn_1x_coco": {"size": 256, "steps": 500},
    "free_anchor/retinanet_free_anchor_r50_fpn_1x_coco": {},
    "pisa/pisa_retinanet_r50_fpn_1x_coco": {},
    "ghm/retinanet_ghm_r50_fpn_1x_coco": {},
    "sabl/sabl_retinanet_r50_fpn_1x_coco": {"soft": ["loss_bbox_cls"]},
    "guided_anchoring/ga_retinanet_r50_caffe_fpn_1x_coco": {"steps": 500},
    "nas_fpn/retinanet_r50_fpn_crop640_50e_coco": {},
    "yolof/yolof_r50_c5_8x8_1x_coco": {"size": 256},
    "centernet/centernet_resnet18_140e_coco": {"changes": {"divide": 2}},
    "ssd/ssdlite_mobilenetv2_scratch_600e_coco": {"size": 256},
    "yolo/yolov3_mobilenetv2_mstrain-416_300e_coco": {"soft": ["loss_xy"]},
    "yolox/yolox_nano_8x8_300e_coco": {
        "changes": {"input_size": (192, 192), "random_size_range": (6, 6)},  # one size
        "soft": ["loss_cls"],
    },
    "rpn/rpn_r50_fpn_1x_coco": {"changes": APART, "proposals": 50},
    "guided_anchoring/ga_rpn_r50_caffe_fpn_1x_coco": {"changes": APART, "proposals": 50},
    "cascade_rpn/crpn_r50_caffe_fpn_1x_coco": {"changes": APART},
    "solo/solo_r50_fpn_1x_coco": GRIDS,
    "solo/decoupled_solo_r50_fpn_1x_coco": GRIDS,
    "solo/decoupled_solo_light_r50_fpn_3x_coco": GRIDS,
    "solov2/solov2_r50_fpn_1x_coco": {},
    "yolact/yolact_r50_1x8_coco": {"steps": 200},
    "cornernet/cornernet_hourglass104_mstest_8x6_210e_coco": {"changes": HOURGLASS, "steps": 150},
    "centripetalnet/centripetalnet_hourglass104_mstest_16x6_210e_coco": {
        "changes": HOURGLASS,
        "steps": 120,
    },
    # The teacher knows nothing here and only rates anchors.
    "lad/lad_r50_paa_r101_fpn_coco_1x": {"changes": {"teacher_ckpt": None}, "soft": ["loss_iou"]},
}
WITHOUT = {
    "LDHead": "GFLHead with a trained teacher; one that knows nothing teaches against the images",
    "AnchorHead": "a plain head that no config uses",
    "GuidedAnchorHead": "a plain head that no config uses",
}
"""Dense heads without a case."""


def types(value: Any) -> Iterator[str]:
    """All names of types in a config."""
    if isinstance(value, Mapping):
        yield from [value["type"]] if isinstance(value.get("type"), str) else []
        value = list(value.values())
    for each in value if isinstance(value, (list, tuple)) else []:
        yield from types(each)


def _model(name: str, case: Mapping[str, Any]) -> dict[str, Any]:
    return small(name, **case.get("changes", {}))


def total(log_vars: dict[str, float], without: list[str]) -> float:
    return log_vars["loss"] - sum(log_vars[name] for name in without)


def test_every_dense_head_has_a_case_or_a_reason() -> None:
    learning = {HEADS.get(kind) for name, case in CASES.items() for kind in types(_model(name, case)) if kind in HEADS}
    without = {HEADS.get(name) for name in WITHOUT}
    dense = {HEADS.get(name) for name in HEADS if issubclass(HEADS.get(name), DenseHead)}
    assert dense == {kind for kind in learning if issubclass(kind, DenseHead)} | without


@pytest.mark.slow
@pytest.mark.timeout(1800)  # half a minute to three on an idle core
@pytest.mark.parametrize("name", CASES)
def test_detector_learns_images_by_heart(name: str) -> None:
    case = CASES[name]
    torch.manual_seed(0)
    model = build_detector(_model(name, case))
    model.init_weights()
    batch = tiles(case.get("size", 192))
    logged = learn(model.train(), batch, case.get("steps", 250), case.get("rate", 2e-3))
    soft = case.get("soft", [])
    assert total(logged[-1], soft) < 0.1 * total(logged[0], soft)
    model.eval()
    num_proposals = case.get("proposals")
    assert (recall(model, batch, num_proposals) if num_proposals else average_precision(model, batch)) > 0.9
