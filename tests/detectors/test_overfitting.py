"""One-stage detectors learn four real images by heart: their targets, losses and decoding fit each other."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from overfitting import average_precision, learn, small, tiles

from raydet.models import build_detector

LARGER = {"size": 256, "steps": 200}
# Config -> how its small version differs, and how it is trained:
#   changes: of the model, and `divide`, see `small`
#   soft: losses that are cross-entropies with soft targets: their least value is the targets' entropy, not zero
#   size, steps, rate: of the images, of the training
CASES: dict[str, dict[str, Any]] = {
    "retinanet/retinanet_r50_fpn_1x_coco": {},
    "fcos/fcos_r50_caffe_fpn_gn-head_1x_coco": {**LARGER, "soft": ["loss_centerness"]},
    "atss/atss_r50_fpn_1x_coco": {**LARGER, "soft": ["loss_centerness"]},
    "gfl/gfl_r50_fpn_1x_coco": {**LARGER, "soft": ["loss_dfl"]},
    "paa/paa_r50_fpn_1x_coco": {"soft": ["loss_iou"]},
    "vfnet/vfnet_r50_fpn_1x_coco": {"soft": ["loss_cls"]},
    "tood/tood_r50_fpn_1x_coco": {"changes": {"train_cfg": {"initial_epoch": 0}}},
    "ddod/ddod_r50_fpn_1x_coco": {"soft": ["loss_iou"]},
    "nas_fcos/nas_fcos_nashead_r50_caffe_fpn_gn-head_4x4_1x_coco": {"soft": ["loss_centerness"]},
    "fsaf/fsaf_r50_fpn_1x_coco": LARGER,
    "foveabox/fovea_r50_fpn_4x4_1x_coco": {},
    "free_anchor/retinanet_free_anchor_r50_fpn_1x_coco": {},
    "ghm/retinanet_ghm_r50_fpn_1x_coco": {},
    "sabl/sabl_retinanet_r50_fpn_1x_coco": {"soft": ["loss_bbox_cls"]},
    "yolof/yolof_r50_c5_8x8_1x_coco": {"size": 256},
    "centernet/centernet_resnet18_140e_coco": {"changes": {"divide": 2}},
    # The teacher knows nothing here and only rates anchors.
    "lad/lad_r50_paa_r101_fpn_coco_1x": {"changes": {"teacher_ckpt": None}, "soft": ["loss_iou"]},
}


def total(log_vars: dict[str, float], without: list[str]) -> float:
    return log_vars["loss"] - sum(log_vars[name] for name in without)


@pytest.mark.slow
@pytest.mark.timeout(900)  # half a minute on an idle core
@pytest.mark.parametrize("name", CASES)
def test_detector_learns_images_by_heart(name: str) -> None:
    case = CASES[name]
    torch.manual_seed(0)
    model = build_detector(small(name, **case.get("changes", {})))
    model.init_weights()
    batch = tiles(case.get("size", 192))
    logged = learn(model.train(), batch, case.get("steps", 250), case.get("rate", 2e-3))
    soft = case.get("soft", [])
    assert total(logged[-1], soft) < 0.1 * total(logged[0], soft)
    assert average_precision(model.eval(), batch) > 0.9
