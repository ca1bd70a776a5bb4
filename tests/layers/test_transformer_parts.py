import pytest
import torch
from torch import nn

from raydet.layers import (
    FFN,
    AdaptivePadding,
    LayerNorm2d,
    MultiheadAttention,
    PatchEmbed,
    PatchMerging,
    nchw_to_nlc,
    nlc_to_nchw,
)
from raydet.registry import LAYERS


def attention(**changes):
    torch.manual_seed(0)
    return MultiheadAttention(8, 2, **changes).eval()


def test_attention_adds_positions_to_queries_and_keys_but_not_to_values():
    layer, x, position = attention(), torch.randn(5, 2, 8), torch.randn(5, 2, 8)
    with torch.no_grad():
        out = layer(x, query_pos=position)
        expected = x + layer.attn(x + position, x + position, x)[0]
    assert torch.allclose(out, expected, atol=1e-6)


def test_batch_first_only_turns_sequences():
    x, key = torch.randn(2, 5, 8), torch.randn(2, 7, 8)
    ignored = torch.zeros(2, 7, dtype=torch.bool)
    ignored[1, 3:] = True
    with torch.no_grad():
        first = attention(batch_first=True)(x, key, key_padding_mask=ignored)
        second = attention()(x.transpose(0, 1), key.transpose(0, 1), key_padding_mask=ignored)
    assert torch.allclose(first, second.transpose(0, 1), atol=1e-6)


def test_identity_replaces_the_query_in_the_sum():
    x = torch.randn(5, 2, 8)
    with torch.no_grad():
        difference = attention()(x, identity=x + 1) - attention()(x)
    assert torch.allclose(difference, torch.ones_like(x), atol=1e-6)


def test_query_position_of_another_shape_than_the_key_warns():
    with pytest.warns(UserWarning, match="position"):
        attention()(torch.randn(5, 2, 8), torch.randn(7, 2, 8), query_pos=torch.randn(5, 2, 8))


def test_older_names_of_dropouts_still_work():
    layer = LAYERS.build(dict(type="MultiheadAttention", embed_dims=8, num_heads=2, dropout=0.3))
    assert (layer.attn.dropout, layer.dropout_layer.p) == (0.3, 0.3)
    ffn = LAYERS.build(dict(type="FFN", embed_dims=4, dropout=0.2, add_residual=False))
    assert [module.p for module in ffn.modules() if isinstance(module, nn.Dropout)] == [0.2, 0.2]
    assert not ffn.add_identity


def test_ffn_keys_are_those_of_2x():
    keys = list(FFN(4, 6, num_fcs=3).state_dict())
    assert keys == [f"layers.{place}.{leaf}" for place in ("0.0", "1.0", "2") for leaf in ("weight", "bias")]


@pytest.mark.parametrize(("add_identity", "expected"), [(True, 2.0), (False, 0.0)])
def test_ffn_adds_its_input_or_not(add_identity, expected):
    ffn = FFN(4, 6, add_identity=add_identity)
    for parameter in ffn.parameters():
        parameter.data.zero_()
    assert ffn(torch.full((3, 4), 2.0)).unique().tolist() == [expected]
    assert ffn(torch.ones(3, 4), identity=torch.full((3, 4), 2.0)).unique().tolist() == [expected]


def test_ffn_of_one_layer_raises():
    with pytest.raises(ValueError, match="num_fcs"):
        FFN(4, 6, num_fcs=1)


@pytest.mark.parametrize(("padding", "first"), [("corner", (0, 0)), ("same", (1, 0))])
def test_adaptive_padding_covers_every_pixel(padding, first):
    padded = AdaptivePadding(kernel_size=4, stride=4, padding=padding)(torch.ones(1, 1, 6, 7))
    assert padded.shape == (1, 1, 8, 8)
    assert tuple(padded[0, 0].nonzero()[0].tolist()) == first


def test_adaptive_padding_of_another_kind_raises():
    with pytest.raises(ValueError, match="corner"):
        AdaptivePadding(padding="centre")


@pytest.mark.parametrize("size", [(8, 8), (7, 9)])
def test_patch_embed_returns_a_sequence_and_its_size(size):
    x, shape = PatchEmbed(embed_dims=6, kernel_size=4, stride=4, norm_cfg=dict(type="LN"))(torch.rand(2, 3, *size))
    assert shape == (2, -(-size[1] // 4))
    assert x.shape == (2, shape[0] * shape[1], 6)


def test_patch_embed_tells_sizes_beforehand():
    layer = PatchEmbed(embed_dims=6, kernel_size=4, stride=4, input_size=(7, 9))
    assert (layer.init_input_size, layer.init_out_size) == ((8, 12), (2, 3))


def test_patch_merging_gathers_each_channel_row_by_row():
    layer = PatchMerging(2, 8, norm_cfg=None)
    layer.reduction.weight.data = torch.eye(8)
    x = torch.arange(8.0).view(1, 4, 2)  # a map of 2 x 2 with 2 channels
    out, size = layer(x, (2, 2))
    assert size == (1, 1)
    assert out.flatten().tolist() == [0, 2, 4, 6, 1, 3, 5, 7]


def test_patch_merging_pads_odd_maps():
    out, size = PatchMerging(2, 4)(torch.rand(1, 15, 2), (3, 5))
    assert size == (2, 3)
    assert out.shape == (1, 6, 4)


def test_sequence_and_map_are_inverse():
    x = torch.rand(2, 3, 4, 5)
    assert torch.equal(nlc_to_nchw(nchw_to_nlc(x), (4, 5)), x)
    with pytest.raises(ValueError, match="20 tokens"):
        nlc_to_nchw(nchw_to_nlc(x), (4, 4))


def test_layer_norm_of_maps_normalises_channels():
    out = LayerNorm2d(16)(torch.randn(2, 16, 3, 3) * 5 + 1)
    assert torch.allclose(out.mean(1), torch.zeros(2, 3, 3), atol=1e-5)
    assert torch.allclose(out.var(1, unbiased=False), torch.ones(2, 3, 3), atol=1e-3)
