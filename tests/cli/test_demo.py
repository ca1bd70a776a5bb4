from __future__ import annotations

import cv2
import pytest

from raydet.cli import main
from raydet.cli.demo import CONFIGS, demo_config, draw_split, scores
from raydet.config import Config, ensure_valid


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_demo_config_is_shipped_and_valid(name):
    ensure_valid(Config.fromfile(demo_config(name)))


def test_draw_split_writes_truth_beside_results_for_every_image(run_folder, tmp_path):
    cfg = Config.fromfile(run_folder / "tiny.py")
    folder = draw_split(cfg, run_folder / "epoch_1.pth", tmp_path / "pictures")
    pictures = sorted(folder.glob("*.png"))
    assert len(pictures) == 4
    assert cv2.imread(str(pictures[0])).shape == (512, 1032, 3)


def test_scores_shows_map_and_ap50_of_each_kind():
    metrics = {"bbox_mAP": 0.5, "bbox_mAP_50": 0.75, "bbox_mAP_copypaste": "", "segm_mAP": 0.4, "segm_mAP_50": 0.7}
    assert scores(metrics) == "bbox  mAP 0.500  AP50 0.750\nsegm  mAP 0.400  AP50 0.700"


@pytest.mark.ray
@pytest.mark.slow
def test_demo_trains_evaluates_and_draws(tmp_path, capsys):
    assert main(["demo", "nuclei", "--work-dir", str(tmp_path / "run"), "--cfg-options", "runner.max_epochs=1"]) == 0
    printed = capsys.readouterr().out
    assert "segm  mAP " in printed
    assert len(list((tmp_path / "run" / "pictures").glob("*.png"))) == 4
