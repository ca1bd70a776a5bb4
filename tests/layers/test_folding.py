import pytest
import torch
from torch import nn

from raydet.layers import ConvModule, ConvNormChain, SyncBatchNorm, conv_then_norm


def pair(conv=None, norm=None):
    generator = torch.Generator().manual_seed(0)
    conv = conv or nn.Conv2d(3, 5, 3, padding=1, bias=False)
    norm = norm or nn.BatchNorm2d(5)
    with torch.no_grad():
        norm.running_mean.normal_(generator=generator)
        norm.running_var.uniform_(0.5, 2, generator=generator)
        for parameter in norm.parameters():
            parameter.normal_(generator=generator)
    return conv, norm.eval()


def calls(norm, run):
    """How often the normalisation is called by `run`; a hook would keep it from being folded."""
    seen = []
    original = norm._check_input_dim
    norm._check_input_dim = lambda x: (seen.append(1), original(x))
    run()
    return len(seen)


PAIRS = {
    "plain": pair,
    "bias": lambda: pair(nn.Conv2d(3, 5, 3, stride=2)),
    "groups": lambda: pair(nn.Conv2d(3, 6, 3, groups=3, bias=False), nn.BatchNorm2d(6)),
    "circular": lambda: pair(nn.Conv2d(3, 5, 3, padding=1, padding_mode="circular")),
    "not affine": lambda: pair(norm=nn.BatchNorm2d(5, affine=False)),
    "SyncBN": lambda: pair(norm=SyncBatchNorm(5)),
}


@pytest.mark.parametrize("make", PAIRS.values(), ids=PAIRS)
def test_values_and_gradients_are_those_of_both_layers(make):
    conv, norm = (layer.double() for layer in make())
    x = torch.randn(2, 3, 12, 12, dtype=torch.float64, requires_grad=True)
    inputs = [x, *conv.parameters(), *norm.parameters()]
    assert calls(norm, lambda: conv_then_norm(conv, norm, x)) == 0
    folded, plain = conv_then_norm(conv, norm, x), norm(conv(x))
    torch.testing.assert_close(folded, plain)
    for ours, theirs in zip(*(torch.autograd.grad(y.pow(3).sum(), inputs) for y in (folded, plain)), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_learning_statistics_are_not_folded():
    conv, norm = pair()
    norm.train()
    assert calls(norm, lambda: conv_then_norm(conv, norm, torch.randn(2, 3, 12, 12))) == 1
    assert norm.num_batches_tracked == 1


def test_a_small_map_is_not_folded():
    conv, norm = pair()
    assert calls(norm, lambda: conv_then_norm(conv, norm, torch.randn(1, 3, 4, 4))) == 1


@pytest.mark.parametrize("which", [0, 1])
def test_hooks_see_the_call(which):
    layers, seen = pair(), []
    layers[which].register_forward_hook(lambda *_: seen.append(1))
    conv_then_norm(*layers, torch.randn(2, 3, 12, 12))
    assert seen == [1]


def test_subclasses_keep_their_own_forward():
    class Doubled(nn.Conv2d):
        def forward(self, x):
            return 2 * super().forward(x)

    conv, norm = pair(Doubled(3, 5, 3))
    x = torch.randn(2, 3, 12, 12)
    torch.testing.assert_close(conv_then_norm(conv, norm, x), norm(conv(x)))


def test_a_chain_folds_its_pairs():
    conv, norm = pair()
    chain = ConvNormChain(nn.AvgPool2d(1), conv, norm, nn.ReLU())
    x = torch.randn(2, 3, 12, 12)
    assert calls(norm, lambda: chain(x)) == 0
    torch.testing.assert_close(chain(x), norm(conv(x)).relu())


@pytest.mark.parametrize("order", [("conv", "norm", "act"), ("norm", "conv", "act"), ("conv", "act", "norm")])
def test_conv_module_keeps_its_order(order):
    module = ConvModule(4, 4, 3, norm_cfg=dict(type="BN"), order=order, inplace=False)
    pair(module.conv, module.bn)
    layers = {"conv": module.conv, "norm": module.bn, "act": module.activate}
    x = torch.randn(2, 4, 12, 12)
    expected = x
    for step in order:
        expected = layers[step](expected)
    torch.testing.assert_close(module(x), expected)
    assert calls(module.bn, lambda: module(x)) == (0 if order[1] == "norm" else 1)
