import math

import pytest
import torch
from torch import nn

from raydet.layers import BaseModule, ModuleDict, ModuleList, Sequential, bias_init_with_prob, initialize
from raydet.registry import INITIALIZERS


class Foo(BaseModule):
    def __init__(self, init_cfg=None):
        super().__init__(init_cfg)
        self.feat = nn.Conv1d(3, 1, 3)
        self.reg = nn.Conv2d(3, 3, 3)
        self.cls = nn.Linear(1, 2)


def constant(layer, value) -> bool:
    return bool((layer.weight == value).all())


def test_layer_named_in_cfg_is_initialised_and_others_left():
    model = Foo(dict(type="Constant", layer="Conv2d", val=2.0, bias=3.0))
    before = model.feat.weight.clone()
    model.init_weights()
    assert constant(model.reg, 2.0)
    assert bool((model.reg.bias == 3.0).all())
    assert torch.equal(model.feat.weight, before)


def test_list_of_cfgs_initialises_each_layer_its_own_way():
    model = Foo([dict(type="Constant", layer=name, val=v) for name, v in [("Conv1d", 1), ("Conv2d", 2), ("Linear", 3)]])
    model.init_weights()
    assert constant(model.feat, 1)
    assert constant(model.reg, 2)
    assert constant(model.cls, 3)


def test_override_with_type_replaces_the_surrounding_cfg():
    override = dict(type="Constant", name="reg", val=3, bias=4)
    model = Foo(dict(type="Constant", layer=["Conv1d", "Conv2d"], val=1, bias=2, override=override))
    model.init_weights()
    assert constant(model.feat, 1)
    assert constant(model.reg, 3)
    assert bool((model.reg.bias == 4).all())


def test_override_with_name_alone_inherits_arguments_and_nothing_else_is_touched():
    model = Foo(dict(type="Constant", val=1, bias=2, override=dict(name="reg")))
    before = model.feat.weight.clone()
    model.init_weights()
    assert constant(model.reg, 1)
    assert torch.equal(model.feat.weight, before)


@pytest.mark.parametrize(
    ("override", "error", "message"),
    [
        (dict(type="Constant", val=3), ValueError, "name"),
        (dict(name="reg", val=3), ValueError, "type"),
        (dict(name="nope"), ValueError, "nope"),
        ("reg", TypeError, "override"),
    ],
)
def test_invalid_override_raises(override, error, message):
    with pytest.raises(error, match=message):
        initialize(Foo(), dict(type="Constant", layer="Conv2d", val=1, override=override))


def test_init_cfg_of_wrong_type_raises():
    with pytest.raises(TypeError, match="init_cfg"):
        initialize(Foo(), "Constant")


def test_without_layer_and_override_nothing_is_initialised():
    model = Foo(dict(type="Constant", val=7))
    before = [parameter.clone() for parameter in model.parameters()]
    model.init_weights()
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_direct_base_of_a_layer_matches_its_name():
    norm = nn.BatchNorm2d(2)
    initialize(norm, dict(type="Constant", val=5, layer="_BatchNorm"))
    assert constant(norm, 5)


@pytest.mark.parametrize(
    ("kind", "arguments", "check"),
    [
        ("Xavier", dict(distribution="uniform"), lambda w: w.abs().max() <= math.sqrt(6 / (2 * 27 * 9))),
        ("Normal", dict(mean=5, std=0.1), lambda w: abs(w.mean() - 5) < 0.1),
        ("TruncNormal", dict(a=-0.5, b=0.5), lambda w: w.abs().max() <= 0.5),
        ("Uniform", dict(a=2, b=3), lambda w: w.min() >= 2 and w.max() <= 3),
        ("Kaiming", dict(distribution="uniform"), lambda w: w.abs().max() <= math.sqrt(6 / (27 * 9))),
        ("Caffe2Xavier", dict(), lambda w: w.abs().max() <= math.sqrt(3 / (27 * 9))),
    ],
)
def test_initializer_draws_within_its_range(kind, arguments, check):
    conv = nn.Conv2d(27, 27, 3)
    with torch.no_grad():
        conv.weight.fill_(100)
    INITIALIZERS.build(dict(type=kind, layer="Conv2d", **arguments))(conv)
    assert check(conv.weight)
    assert bool((conv.bias == 0).all())


def test_bias_prob_sets_the_bias_of_a_sigmoid():
    linear = nn.Linear(2, 2)
    initialize(linear, dict(type="Normal", layer="Linear", std=0.01, bias_prob=0.01))
    assert torch.allclose(linear.bias.sigmoid(), torch.full((2,), 0.01))
    assert bias_init_with_prob(0.5) == 0


@pytest.mark.parametrize("wrong", [dict(bias="0"), dict(bias_prob=1), dict(layer=3)])
def test_initializer_with_wrong_argument_type_raises(wrong):
    with pytest.raises(TypeError):
        INITIALIZERS.build(dict(type="Constant", val=0, **wrong))


def test_wrong_distribution_raises():
    with pytest.raises(ValueError, match="distribution"):
        initialize(nn.Conv2d(1, 1, 1), dict(type="Xavier", layer="Conv2d", distribution="gauss"))


def test_children_win_over_parents():
    class Outer(BaseModule):
        def __init__(self):
            super().__init__(dict(type="Constant", layer="Conv2d", val=1))
            self.inner = Foo(dict(type="Constant", layer="Conv2d", val=2))
            self.own = nn.Conv2d(1, 1, 1)

    model = Outer()
    model.init_weights()
    assert constant(model.inner.reg, 2)
    assert constant(model.own, 1)


def test_plain_containers_do_not_pass_initialisation_on():
    child = Foo(dict(type="Constant", layer="Conv2d", val=2))
    model = Sequential(nn.Sequential(child))
    model.init_weights()
    assert not child.is_init


@pytest.mark.parametrize(
    "container",
    [
        lambda layer: Sequential(layer, init_cfg=dict(type="Constant", layer="Linear", val=4)),
        lambda layer: ModuleList([layer], init_cfg=dict(type="Constant", layer="Linear", val=4)),
        lambda layer: ModuleDict({"a": layer}, init_cfg=dict(type="Constant", layer="Linear", val=4)),
    ],
)
def test_container_with_init_cfg_initialises_its_members(container):
    layer = nn.Linear(2, 2)
    container(layer).init_weights()
    assert constant(layer, 4)


def test_second_call_warns_and_changes_nothing():
    model = Foo(dict(type="Normal", layer="Conv2d"))
    model.init_weights()
    before = model.reg.weight.clone()
    with pytest.warns(UserWarning, match="more than once"):
        model.init_weights()
    assert torch.equal(before, model.reg.weight)


def test_log_says_what_initialised_each_parameter():
    class User(BaseModule):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3))

        def init_weights(self):
            self.weight.data.fill_(2)

    model = Foo([dict(type="Constant", layer="Conv1d", val=1), dict(type="Normal", layer="Conv2d", std=0.5)])
    model.user = User()
    model.init_weights()
    log = model.initialized_by
    assert log["feat.weight"] == "Constant: bias=0, val=1"
    assert log["reg.weight"] == "Normal: bias=0, mean=0, std=0.5"
    assert log["cls.weight"].startswith("as constructed")
    assert log["user.weight"] == "`init_weights` of User"


def test_plug_in_initialiser_is_called_with_the_module():
    seen = []

    @INITIALIZERS.register_module(name="_TestInit", force=True)
    class _TestInit:
        def __call__(self, module):
            seen.append(module)

    model = Foo(dict(type="_TestInit"))
    model.init_weights()
    assert seen == [model]


def test_error_in_an_init_cfg_names_its_place_in_the_file():
    from raydet.config import Config

    cfg = Config.fromstring("model = dict(type='Constant', layer='Conv2d', vall=1)\n", ".py")
    with pytest.raises(TypeError, match=r":1: .*vall"):
        initialize(Foo(), cfg.model)
