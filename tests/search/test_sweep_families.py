"""Every option of every ready-made family works where it fits: losses are finite, transforms run."""

import optuna
import pytest
import torch
from optuna.trial import FixedTrial

from raydet.config import Config, check_config, compat_cfg
from raydet.datasets import build_dataset
from raydet.datasets.collate import collate
from raydet.datasets.device import to_device
from raydet.models import build_detector
from raydet.search.draft import merged
from raydet.search.file import load_sweep

RETINA, FASTER = "demo/nuclei_retinanet", "demo/trees_faster_rcnn"
POINTS = {
    "config": {"lr_config": "config"},
    "poly": {"lr_config": "poly", "lr_config.poly.power": 1.0, "lr_config.poly.warmup_ratio": 0.01},
}
FITTING = {
    (RETINA, "model.bbox_head.loss_cls", "classification_losses"): ["focal", "ghm", "cross_entropy"],
    (FASTER, "model.rpn_head.loss_cls", "classification_losses"): ["focal", "cross_entropy"],
    (FASTER, "model.roi_head.bbox_head.loss_cls", "classification_losses"): ["softmax", "seesaw"],
    (RETINA, "model.bbox_head.loss_bbox", "regression_losses"): None,
    (FASTER, "model.rpn_head.loss_bbox", "regression_losses"): None,
    (FASTER, "model.roi_head.bbox_head.loss_bbox", "regression_losses"): None,
    (RETINA, "data.train.dataset.pipeline.RandomFlip", "augmentation_policies"): None,
    (RETINA, "optimizer", "optimizers"): ["sgd", "nesterov", "adam", "adamw"],
    (RETINA, "lr_config", "schedules"): ["step", "cosine", "poly", "constant"],
    (RETINA, "optimizer_config.grad_clip", "gradient_clipping"): ["none", "norm"],
}


@pytest.fixture(params=list(FITTING), ids=lambda case: f"{case[2]}-{case[1]}")
def drawn(request, tmp_path):
    """Labels that are expected, and one config for each option."""
    base, key, family = request.param
    file = tmp_path / "family.yaml"
    file.write_text(f"base: {base}\nobjective: {{metric: bbox_mAP}}\nspace: {{{key}: {{family: {family}}}}}\n")
    sweep = load_sweep(file)
    configs = {}
    for label in sweep.space.parameters()[key].options:
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        study.enqueue_trial(sweep.space.enqueue({key: label}))
        configs[label] = Config(merged(sweep.config, sweep.space.draw(study.ask(), sweep.config).options))
    return FITTING[request.param], key, configs


def test_options_that_fit_work(drawn):
    expected, key, configs = drawn
    assert expected is None or list(configs) == expected
    assert len(configs) > 1
    for label, config in configs.items():
        assert not check_config(config), label
        if "loss" in key or "pipeline" in key:
            assert torch.isfinite(total_loss(config)), label


def total_loss(config):
    config = compat_cfg(config)
    config["model"]["backbone"]["init_cfg"] = None
    torch.manual_seed(0)
    dataset = build_dataset(config["data"]["train"])
    batch = to_device(collate([dataset[0], dataset[1]]), "cpu")
    model = build_detector(config["model"], config.get("train_cfg"), config.get("test_cfg")).train()
    losses = model(return_loss=True, **batch)
    flat = [each for value in losses.values() for each in (value if isinstance(value, list) else [value])]
    return sum(each.mean() for each in flat)


def test_heads_that_learn_qualities_get_their_own_losses(tmp_path):
    file = tmp_path / "gfl.yaml"
    for base, options in (("gfl_r50_fpn_1x_coco", {"quality_focal"}), ("vfnet_r50_fpn_1x_coco", {"varifocal"})):
        file.write_text(
            f"base: {base}\nobjective: {{metric: bbox_mAP}}\nspace:\n"
            "  model.bbox_head.loss_cls: {family: classification_losses}\n"
            "  model.bbox_head.loss_bbox: {family: iou_losses}\n"
        )
        drawn = load_sweep(file).space.parameters()
        assert set(drawn["model.bbox_head.loss_cls"].options) == options
        assert set(drawn["model.bbox_head.loss_bbox"].options) == {"iou", "giou", "diou", "ciou"}


def test_what_the_base_config_has_is_an_option_that_changes_nothing(tmp_path):
    file = tmp_path / "kept.yaml"
    text = "base: {}\nobjective: {{metric: bbox_mAP}}\nspace: {{lr_config: {{family: schedules, only: [poly], {}}}}}\n"
    file.write_text(text.format(RETINA, "keep: true"))
    sweep = load_sweep(file)
    assert list(sweep.space.parameters()["lr_config"].options) == ["config", "poly"]
    draws = {label: sweep.space.draw(FixedTrial(params), sweep.config) for label, params in POINTS.items()}
    assert draws["config"].options == {}
    assert draws["poly"].options["lr_config"]["policy"] == "poly"
    file.write_text(text.format(RETINA, "keep: true").replace("{family", "[{family").replace("true}", "true}]"))
    with pytest.raises(ValueError, match=r"kept\.yaml:3:\d+: space\.lr_config\.0\.keep: .* element of a list"):
        load_sweep(file)
