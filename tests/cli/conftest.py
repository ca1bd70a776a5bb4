from __future__ import annotations

import pytest
import torch

from raydet.checkpoint import save_checkpoint
from raydet.config import Config, assets_root, shipped_root
from raydet.models import build_detector

TINY = """_base_ = {bases}
model = dict(
    backbone=dict(depth=18, base_channels=8, init_cfg=None, norm_eval=False, frozen_stages=-1),
    neck=dict(in_channels=[8, 16, 32, 64], out_channels=16),
    rpn_head=dict(in_channels=16, feat_channels=16),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=16),
        bbox_head=dict(in_channels=16, fc_out_channels=16, num_classes=1),
        mask_roi_extractor=dict(out_channels=16),
        mask_head=dict(in_channels=16, conv_out_channels=16, num_convs=1, num_classes=1)),
    test_cfg=dict(rpn=dict(max_per_img=50), rcnn=dict(score_thr=0.0, max_per_img=20)))
data = dict(workers_per_gpu=0)
runner = dict(max_epochs=1)
"""


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory):
    """A folder such as a run leaves behind: the config of a tiny Mask R-CNN for nuclei, and a checkpoint."""
    folder = tmp_path_factory.mktemp("run")
    parts = ("models/mask_rcnn_r50_fpn", "datasets/nuclei_instance", "schedules/schedule_1x", "default_runtime")
    bases = [str(shipped_root("configs") / "_base_" / f"{part}.py") for part in parts]
    cfg = Config.fromstring(TINY.format(bases=bases), ".py")
    (folder / "tiny.py").write_text(cfg.pretty_text)
    torch.manual_seed(0)
    model = build_detector(cfg.model)
    model.init_weights()
    model.CLASSES = ("nucleus",)
    save_checkpoint(model, folder / "epoch_1.pth", meta={"epoch": 1, "iter": 3})
    return folder


@pytest.fixture(scope="session")
def images():
    return assets_root() / "nuclei" / "images"
