"""Every shipped config loads without being executed, is valid and describes a model that can be built."""

from functools import cache

import pytest

from raydet.config import Config, check_config, find_config, shipped_root

ROOT = shipped_root("configs")
FILES = sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob("*.py"))
MODELS = [name for name in FILES if not name.startswith(("_base_/", "common/"))]
FEW = [
    "faster_rcnn/faster_rcnn_r50_caffe_c4_1x_coco.py",
    "fast_rcnn/fast_rcnn_r50_fpn_1x_coco.py",
    "mask_rcnn/mask_rcnn_r50_fpn_1x_coco.py",
    "retinanet/retinanet_r18_fpn_1x_coco.py",
    "rpn/rpn_r50_fpn_1x_coco.py",
]


@cache
def load(name):
    return Config.fromfile(ROOT / name)


@pytest.mark.parametrize("name", FILES)
def test_config_file_is_read_without_being_executed(name):
    assert len(load(name)) > 0


@pytest.mark.parametrize("name", MODELS)
def test_config_has_no_problems(name):
    assert [str(problem) for problem in check_config(load(name))] == []


@pytest.mark.parametrize("name", MODELS)
def test_config_is_found_by_its_name_alone(name):
    stem = name.rpartition("/")[2].removesuffix(".py")
    assert find_config(stem) == ROOT / name


@pytest.mark.parametrize("name", MODELS)
def test_config_describes_a_whole_run(name):
    cfg = load(name)
    assert not {"model", "data", "optimizer", "lr_config", "runner", "evaluation", "log_config"} - set(cfg)
    assert not {"train", "val", "test", "samples_per_gpu", "workers_per_gpu"} - set(cfg.data)


@pytest.mark.parametrize("name", MODELS)
def test_config_survives_its_own_text(name):
    cfg = load(name)
    assert Config.fromstring(cfg.pretty_text, ".py") == cfg


def _build(name):
    import torch

    from raydet.models import build_detector

    cfg = load(name)
    with torch.device("meta"):
        model = build_detector(cfg.model)
    assert type(model).__name__
    assert sum(parameter.numel() for parameter in model.parameters()) > 500_000  # YOLOX-nano has 900,000


@pytest.mark.parametrize("name", FEW)
def test_model_of_config_is_built(name):
    _build(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in MODELS if name not in FEW])
def test_model_of_any_other_config_is_built(name):
    _build(name)
