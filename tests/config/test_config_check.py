import sys
from types import ModuleType

import pytest

from raydet import registry
from raydet.config import Config, ConfigError, check_config, ensure_valid


class Part:
    def __init__(self, depth, width=1, child=None):
        pass


class Fine(Part):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)


class Albu:
    def __init__(self, transforms):
        pass


class Hook:
    def __init__(self, interval=1):
        pass


@pytest.fixture(autouse=True)
def parts(monkeypatch):
    """A few members that need no other package."""
    for each, members in (
        (registry.DETECTORS, {"TestNet": Fine}),
        (registry.BACKBONES, {"TestBackbone": Part}),
        (registry.TRANSFORMS, {"TestStep": Part, "Albu": Albu}),
        (registry.DATASETS, {"TestData": Part}),
        (registry.HOOKS, {"TestHook": Hook, "StepLrUpdaterHook": Hook, "OptimizerHook": Hook}),
        (registry.LAYERS, {"TestNorm": Part}),
    ):
        monkeypatch.setattr(each, "_members", {**each._members, **members})


def problems(text):
    return [str(problem) for problem in check_config(Config.fromstring(text, ".py"))]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "data1 = dict()\nmodel_a = dict(type='Nothing')",
        "img_norm_cfg = dict(type='unused helper')\nangle = 1\ntrain_pipeline = [dict(type='Nothing')]",
        "model = dict(type='TestNet', depth=1)",
        "model = dict(type='TestNet', depth=1, child=dict(nms=dict(type='soft_nms', iou_threshold=0.5)))",
        "model = dict(type='TestNet', depth=1, child=dict(same_up_trans=dict(type='conv', kernel_size=3)))",
        "model = dict(type='TestNet', depth=1, child=dict(norm_cfg=dict(type='TestNorm', requires_grad=True)))",
        "custom_hooks = [dict(type='TestHook', priority='LOW')]",
        "lr_config = dict(policy='step', interval=2)",
        "lr_config = None\noptimizer_config = None",
        "data = dict(train=dict(type='TestData', depth=[dict(type='Albu', transforms=[dict(type='Blur')])]))",
        "data = dict(train=dict(type='TestData', depth=1, samples_per_gpu=2))",
        "optimizer = dict(type='SGD', lr=0.1, paramwise_cfg=dict(norm_decay_mult=0))",
    ],
)
def test_valid_config_has_no_problems(text):
    assert problems(text) == []


@pytest.mark.parametrize(
    ("text", "key", "message"),
    [
        ("optimzer = dict()", "optimzer", "did you mean 'optimizer'"),
        ("data = dict(sample_per_gpu=2)", "data.sample_per_gpu", "did you mean 'samples_per_gpu'"),
        ("model = dict(type='TestNt')", "model.type", "there is no detector named 'TestNt'; did you mean 'TestNet'"),
        ("model = dict(type='TestNet', depth=1, widht=2)", "model.widht", "did you mean 'width'"),
        ("model = dict(type='TestNet')", "model", "needs the argument 'depth'"),
        (
            "model = dict(type='TestNet', depth=1, child=dict(backbone=dict(type='TestStep')))",
            "model.child.backbone.type",
            "there is no backbone named 'TestStep'",
        ),
        (
            "model = dict(type='TestNet', depth=1, child=[dict(odd=dict(type='TestBackbon'))])",
            "model.child.0.odd.type",
            "did you mean 'TestBackbone'",
        ),
        (
            "data = dict(train=dict(type='TestData', depth=[dict(pipeline=[dict(type='TestStep', depth=1, x=2)])]))",
            "data.train.depth.0.pipeline.0.x",
            "no argument 'x'",
        ),
        ("model = dict(type='TestNet', depth=dict(nms=dict(type='softnms')))", "model.depth.nms.type", "'soft_nms'"),
        ("model = dict(type='TestNet', depth=dict(up_trans=dict(type='con')))", "model.depth.up_trans.type", "'conv'"),
        ("model = dict(type=3)", "model.type", "a name or a class"),
        ("custom_hooks = [dict(type='TestHook', intervall=2)]", "custom_hooks.0.intervall", "'interval'"),
        ("lr_config = dict(policy='stpe')", "lr_config.policy", "did you mean 'Step'"),
        ("lr_config = dict(policy='step', intervall=1)", "lr_config.intervall", "'interval'"),
        ("optimizer_config = dict(intervall=1)", "optimizer_config.intervall", "'interval'"),
        ("optimizer = dict(type='SGDD', lr=1)", "optimizer.type", "'SGD'"),
    ],
)
def test_problem_names_file_line_key_and_remedy(text, key, message):
    (problem,) = problems(text)
    assert "text.py:1: " + key + ": " in problem
    assert message in problem


def test_problem_gives_the_line_of_the_argument(write):
    path = write(c_py="model = dict(\n    type='TestNet',\n    depth=1,\n    widht=2)")
    (problem,) = check_config(Config.fromfile(path))
    assert problem.place == f"{path}:4"
    assert problem.key_path == "model.widht"


def test_unknown_type_is_reported_once():
    text = "model = dict(type='TestNet', depth=[dict(backbone=dict(type='B1')), dict(backbone=dict(type='B1'))])"
    assert len(problems(text)) == 1


def test_shared_part_is_reported_once():
    step = "step = dict(type='TestStep', depth=1, x=1)\n"
    assert len(problems(step + "model = dict(type='TestNet', depth=dict(a_pipeline=[step], b_pipeline=[step]))")) == 1


def test_class_as_type_is_checked():
    (problem,) = check_config(dict(model=dict(type=Part, dept=1, depth=2)))
    assert "did you mean 'depth'" in problem.message
    assert problem.place is None


def test_part_that_cannot_be_imported_is_reported(monkeypatch):
    monkeypatch.setitem(registry.BACKBONES._places, "Broken", "raydet_not_there.module:Class")
    (problem,) = problems("model = dict(type='TestNet', depth=dict(backbone=dict(type='Broken')))")
    assert "cannot be imported" in problem


def test_plug_in_is_known_after_its_import(monkeypatch):
    module = ModuleType("raydet_test_module")
    monkeypatch.setitem(sys.modules, "raydet_test_module", module)
    module.Late = Part
    monkeypatch.setitem(registry.BACKBONES._places, "Late", "raydet_test_module:Late")
    assert problems("model = dict(type='TestNet', depth=dict(backbone=dict(type='Late', depth=1)))") == []


def test_ensure_valid_lists_all_problems():
    cfg = Config.fromstring("modle = 1\nmodel = dict(type='TestNet', a=1)\nlr_config = dict(policy='x')", ".py")
    with pytest.raises(ConfigError, match="4 problems") as caught:
        ensure_valid(cfg)
    assert len(str(caught.value).splitlines()) == 5


def test_ensure_valid_accepts_a_valid_config():
    ensure_valid(dict(model=dict(type="TestNet", depth=1)))
