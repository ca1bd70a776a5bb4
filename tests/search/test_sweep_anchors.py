"""Anchors made from the data within a space, and their recall."""

import optuna
import pytest

from raydet.config import Config, check_config
from raydet.registry import PRIOR_GENERATORS
from raydet.search.anchors import coverage, fitted, stretched, training_boxes
from raydet.search.draft import merged
from raydet.search.file import load_sweep
from raydet.search.tree import SweepError

BASE = "base: demo/nuclei_retinanet\nobjective: {metric: bbox_mAP}\n"
KEY = "model.bbox_head.anchor_generator"
SSD = "{_delete_: true, type: SSDAnchorGenerator, strides: [8], ratios: [[2]], basesize_ratio_range: [0.1, 0.9]}"
TWO_LEVELS = "{_delete_: true, type: YOLOAnchorGenerator, strides: [16, 8], base_sizes: [[[9, 9]], [[5, 5]]]}"
YOLO = {"type": "YOLOAnchorGenerator", "strides": [32, 16, 8], "base_sizes": [[(9, 9)], [(8, 8)], [(7, 7)]]}


def draw(tmp_path, text, **params):
    file = tmp_path / "anchors.yaml"
    file.write_text(BASE + text)
    sweep = load_sweep(file)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.enqueue_trial(sweep.space.enqueue(params))
    return sweep, sweep.space.draw(study.ask(), sweep.config)


@pytest.mark.parametrize("method", ["kmeans", "v5-kmeans", "differential_evolution"])
def test_made_anchors_cover_the_data_better_than_those_of_the_config(tmp_path, method):
    text = f"anchors: {{method: {method}, k: [1, 3, 6], iterations: 50}}"
    _, old = draw(tmp_path, text, anchors="config")
    sweep, new = draw(tmp_path, text, anchors=3)
    assert old.options == {}
    assert new.params == {"anchors": 3}
    assert new.facts["anchor_iou"] > old.facts["anchor_iou"] + 0.02
    assert new.facts["anchor_recall"] > old.facts["anchor_recall"]
    config = Config(merged(sweep.config, new.options))
    assert not check_config(config)
    assert PRIOR_GENERATORS.build(config.model.bbox_head.anchor_generator).num_base_priors == [3, 3, 3]


def test_anchors_may_be_stretched_and_the_config_left_out(tmp_path):
    text = "anchors: {k: 4, keep: false, stretch: [0.5, 2.0]}"
    sweep, one = draw(tmp_path, text, **{"anchors.stretch": 1.0})
    _, two = draw(tmp_path, text, **{"anchors.stretch": 2.0})
    assert list(sweep.space.parameters()) == ["anchors", "anchors.stretch"]
    assert one.params["anchors"] == 4
    assert two.options[KEY]["scales"] == pytest.approx([2 * each for each in one.options[KEY]["scales"]])


def test_free_anchors_are_measured_too(tmp_path):
    text = f"anchors: {{method: free}}\nspace: {{{KEY}.octave_base_scale: {{uniform: [1, 8]}}}}\n"
    sweep, small = draw(tmp_path, text, **{f"{KEY}.octave_base_scale": 2.0})
    _, large = draw(tmp_path, text, **{f"{KEY}.octave_base_scale": 8.0})
    assert list(sweep.space.parameters()) == [f"{KEY}.octave_base_scale"]
    assert small.facts["anchor_recall"] > large.facts["anchor_recall"]


def test_sizes_of_yolo_are_shared_out_by_stride():
    boxes = training_boxes(Config.fromfile("demo/nuclei_retinanet"))
    made = fitted(YOLO, boxes, 6, "kmeans", 100)
    areas = [[w * h for w, h in level] for level in made["base_sizes"]]
    assert [len(level) for level in areas] == [2, 2, 2]
    assert min(areas[0]) >= max(areas[1]) >= min(areas[1]) >= max(areas[2])
    assert coverage(made, boxes)["anchor_iou"] > coverage(YOLO, boxes)["anchor_iou"]
    assert stretched(made, 2.0)["base_sizes"][0][0] == [2 * side for side in made["base_sizes"][0][0]]


@pytest.mark.parametrize(
    ("options", "anchors", "message"),
    [
        (
            f"options: {{{KEY}: {SSD}}}\n",
            "{k: 3}",
            "anchors can be made for AnchorGenerator",
        ),
        (
            f"options: {{{KEY}: {TWO_LEVELS}}}\n",
            "{k: [4, 7]}",
            "k = 7 anchors cannot be shared out to 2 levels",
        ),
        ("", "{generator: model.bbox_head.loss_cls}", "is no anchor generator"),
        ("", "{stretch: [2, 1]}", "smaller than the highest"),
    ],
)
def test_anchors_that_cannot_be_made_are_refused(tmp_path, options, anchors, message):
    file = tmp_path / "anchors.yaml"
    file.write_text(BASE + options + f"anchors: {anchors}\n")
    with pytest.raises(SweepError, match=rf"anchors.yaml:\d+:\d+: anchors.*{message}"):
        load_sweep(file)


def test_a_model_without_anchors_is_told(tmp_path):
    file = tmp_path / "anchors.yaml"
    file.write_text("base: fcos_r50_caffe_fpn_gn-head_1x_coco\nobjective: {metric: bbox_mAP}\nanchors: {k: 3}\n")
    with pytest.raises(SweepError, match=r"3:1: anchors: say by `generator` which anchor generator is meant; .* none"):
        load_sweep(file)
