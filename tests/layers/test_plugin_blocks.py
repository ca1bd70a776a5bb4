import itertools
import math

import pytest
import torch
from torch import nn

from raydet.layers import ContextBlock, DropBlock, GeneralizedAttention, NonLocal2d
from raydet.registry import LAYERS

X = torch.linspace(-1, 1, 2 * 8 * 5 * 6).view(2, 8, 5, 6).sin()


@pytest.mark.parametrize("block", [ContextBlock(8, 0.25), NonLocal2d(8), GeneralizedAttention(8, num_heads=2)])
def test_plugin_starts_as_the_identity(block):
    assert torch.allclose(block(X), X, atol=1e-6)


@pytest.mark.parametrize("pooling", ["att", "avg"])
def test_context_adds_the_same_vector_to_every_pixel(pooling):
    block = ContextBlock(8, 0.5, pooling_type=pooling)
    nn.init.normal_(block.channel_add_conv[-1].weight)
    added = block(X) - X
    assert torch.allclose(added, added[..., :1, :1].expand_as(added), atol=1e-6)
    assert added.abs().max() > 1e-3


def test_context_multiplies_before_it_adds():
    block = ContextBlock(8, 0.5, fusion_types=("channel_add", "channel_mul"))
    block.channel_add_conv[-1].bias.data.fill_(3)
    assert torch.allclose(block(X), X * 0.5 + 3, atol=1e-6)


@pytest.mark.parametrize("wrong", [dict(pooling_type="max"), dict(fusion_types=()), dict(fusion_types="channel_add")])
def test_impossible_context_raises(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ContextBlock(8, 0.5, **wrong)


@pytest.mark.parametrize("mode", ["gaussian", "embedded_gaussian", "dot_product", "concatenation"])
@pytest.mark.parametrize("sub_sample", [False, True])
def test_non_local_gathers_a_weighted_mean(mode, sub_sample):
    torch.manual_seed(0)
    block = NonLocal2d(8, sub_sample=sub_sample, mode=mode, reduction=1, zeros_init=False)
    out = block(X)
    out.square().sum().backward()
    assert out.shape == X.shape
    assert all(parameter.grad is not None for parameter in block.parameters())
    if mode.endswith("gaussian"):
        assert torch.allclose(block._weights(X).sum(-1), torch.ones(2, 30))


def test_non_local_of_unknown_mode_raises():
    with pytest.raises(ValueError, match="mode"):
        NonLocal2d(8, mode="linear")


def slow_attention(block, x):
    """The formula of the paper, pixel by pixel and head by head."""
    query_key, query_place, key_alone, place_alone = block.attention_type
    heads, dim = block.num_heads, block.head_dim
    _, _, height, width = x.shape
    keys = [(y, z) for y in range(0, height, block.kv_stride) for z in range(0, width, block.kv_stride)]

    def encode(offset, layer):
        steps = torch.arange(0, block.position_embedding_dim / 4)
        angles = offset * block.position_magnitude / 1000 ** (4 / block.position_embedding_dim * steps)
        return layer(torch.cat([angles.sin(), angles.cos()])).view(heads, dim) / math.sqrt(2)

    def split(conv):
        return conv(x).view(len(x), heads, dim, height, width)

    value, out = split(block.value_conv), torch.zeros(len(x), heads * dim, height, width)
    query = split(block.query_conv) if query_key or query_place else None
    key = split(block.key_conv) if query_key or key_alone else None
    for image, head, y, z in itertools.product(range(len(x)), range(heads), range(height), range(width)):
        scores = []
        for key_y, key_z in keys:
            score = torch.zeros(())
            if query_key:
                score = score + query[image, head, :, y, z] @ key[image, head, :, key_y, key_z]
            if key_alone:
                score = score + block.appr_bias.view(heads, dim)[head] @ key[image, head, :, key_y, key_z]
            if query_place or place_alone:
                place = encode(z - key_z, block.appr_geom_fc_x) + encode(y - key_y, block.appr_geom_fc_y)
                if query_place:
                    score = score + query[image, head, :, y, z] @ place[head]
                if place_alone:
                    score = score + block.geom_bias.view(heads, dim)[head] @ place[head]
            scores.append(score)
        weights = torch.stack(scores).softmax(0)
        gathered = sum(w * value[image, head, :, i, j] for w, (i, j) in zip(weights, keys, strict=True))
        out[image, head * dim : (head + 1) * dim, y, z] = gathered
    return block.gamma * block.proj_conv(out) + x


@pytest.mark.parametrize("terms", ["1000", "0100", "0010", "0001", "1010", "0101", "1111"])
def test_generalized_attention_follows_the_formula(terms):
    torch.manual_seed(0)
    block = GeneralizedAttention(8, num_heads=2, attention_type=terms, position_magnitude=2)
    block.gamma.data.fill_(1)
    x = X[:, :, :3, :4]
    with torch.no_grad():
        assert torch.allclose(block(x), slow_attention(block, x), rtol=1e-4, atol=1e-5)


def test_generalized_attention_with_fewer_queries_keeps_the_size():
    block = GeneralizedAttention(8, num_heads=2, q_stride=2)
    assert block(X).shape == X.shape


def test_limited_range_looks_no_further():
    torch.manual_seed(0)
    block = GeneralizedAttention(512, spatial_range=1, num_heads=8, kv_stride=1, attention_type="0010")
    block.gamma.data.fill_(1)
    assert block.local_constraint_map.shape == (42, 42, 42, 42)
    assert not block.local_constraint_map.requires_grad
    x = torch.randn(1, 512, 6, 6)
    changed = x.clone()
    changed[0, :, 0, 0] += 1
    with torch.no_grad():
        moved = (block(x) - block(changed)).abs().sum(1)[0] > 1e-4
    assert {tuple(place) for place in moved.nonzero().tolist()} == {(0, 0), (0, 1), (1, 0), (1, 1)}


@pytest.mark.parametrize("wrong", [dict(attention_type="111"), dict(spatial_range=2)])
def test_impossible_generalized_attention_raises(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        GeneralizedAttention(8, num_heads=2, **wrong)


def test_drop_block_drops_squares_and_keeps_the_mean():
    torch.manual_seed(0)
    block = LAYERS.build(dict(type="DropBlock", drop_prob=0.2, block_size=3, warmup_iters=0, in_channels=4))
    out = block(torch.ones(8, 16, 20, 20))
    dropped = (out == 0).float()
    assert out.mean().item() == pytest.approx(1, abs=1e-4)
    assert dropped.mean().item() == pytest.approx(0.19, abs=0.03)
    centers = -nn.functional.max_pool2d(-dropped, 3, stride=1)
    covered = nn.functional.max_pool2d(nn.functional.pad(centers, [1] * 4), 3, stride=1, padding=1)
    assert torch.equal(covered, dropped)


def test_drop_block_warms_up_and_rests_in_eval_mode():
    block = DropBlock(1.0, 3, warmup_iters=10**9)
    x = torch.ones(1, 4, 8, 8)
    assert torch.allclose(block(x), x)
    assert block.eval()(x) is x
    assert block.iter_cnt == 1


@pytest.mark.parametrize("wrong", [dict(drop_prob=0), dict(block_size=2), dict(warmup_iters=-1)])
def test_impossible_drop_block_raises(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        DropBlock(**{"drop_prob": 0.1, "block_size": 3, **wrong})


def test_drop_block_larger_than_the_map_raises():
    with pytest.raises(ValueError, match="block_size"):
        DropBlock(0.1, 7)(torch.ones(1, 1, 5, 9))
