import math

import pytest
import torch
from torch import nn

from raydet.layers import (
    BaseTransformerLayer,
    DetrTransformerDecoder,
    DetrTransformerEncoder,
    LearnedPositionalEncoding,
    SinePositionalEncoding,
)
from raydet.registry import LAYERS

ATTENTION = dict(type="MultiheadAttention", embed_dims=8, num_heads=2)
FFN = dict(type="FFN", embed_dims=8, feedforward_channels=12)
ENCODE = ("self_attn", "norm", "ffn", "norm")
DECODE = ("self_attn", "norm", "cross_attn", "norm", "ffn", "norm")


def layer(order=ENCODE, **changes):
    torch.manual_seed(0)
    return BaseTransformerLayer(**{"attn_cfgs": ATTENTION, "ffn_cfgs": FFN, "operation_order": order, **changes}).eval()


def torch_layer(ours, norm_first):
    """Torch's encoder layer with the weights of ours."""
    theirs = nn.TransformerEncoderLayer(8, 2, 12, norm_first=norm_first).eval()
    theirs.self_attn.load_state_dict(ours.attentions[0].attn.state_dict())
    theirs.linear1.load_state_dict(ours.ffns[0].layers[0][0].state_dict())
    theirs.linear2.load_state_dict(ours.ffns[0].layers[1].state_dict())
    theirs.norm1.load_state_dict(ours.norms[0].state_dict())
    theirs.norm2.load_state_dict(ours.norms[1].state_dict())
    return theirs


@pytest.mark.parametrize("norm_first", [False, True])
def test_encoder_layer_computes_what_torchs_does(norm_first):
    ours = layer(("norm", "self_attn", "norm", "ffn") if norm_first else ENCODE)
    assert ours.pre_norm is norm_first
    x = torch.randn(5, 3, 8)
    ignored = torch.tensor([[False] * 5, [False] * 5, [False, False, True, True, True]])
    with torch.no_grad():
        expected = torch_layer(ours, norm_first)(x, src_key_padding_mask=ignored)
        out = ours(x, query_key_padding_mask=ignored)
    assert torch.allclose(out[:, :2], expected[:, :2], atol=1e-5)
    assert torch.allclose(out[:2, 2], expected[:2, 2], atol=1e-5)


def test_cross_attention_sees_keys_and_their_positions():
    decoder = layer(DECODE)
    query, key, place = torch.randn(4, 2, 8), torch.randn(6, 2, 8), torch.randn(6, 2, 8)
    with torch.no_grad():
        plain, placed = decoder(query, key, key), decoder(query, key, key, key_pos=place)
    assert plain.shape == query.shape
    assert not torch.allclose(plain, placed)


def test_one_mask_serves_all_attentions_and_a_list_each_of_them():
    decoder, x = layer(("self_attn", "cross_attn", "norm", "ffn")), torch.randn(4, 1, 8)
    mask = torch.ones(4, 4, dtype=torch.bool).triu(1)
    with torch.no_grad():
        assert torch.allclose(decoder(x, x, x, attn_masks=mask), decoder(x, x, x, attn_masks=[mask, mask]))
        assert not torch.allclose(decoder(x, x, x, attn_masks=[mask, None]), decoder(x, x, x, attn_masks=mask))
    with pytest.raises(ValueError, match="attn_masks"):
        decoder(x, x, x, attn_masks=[mask])


def test_older_names_reach_the_feed_forward_network():
    cfg = dict(type="BaseTransformerLayer", attn_cfgs=ATTENTION, operation_order=ENCODE, feedforward_channels=20)
    built = LAYERS.build(dict(cfg, ffn_dropout=0.3, ffn_num_fcs=3))
    assert built.ffns[0].embed_dims == 8
    assert built.ffns[0].feedforward_channels == 20
    assert built.ffns[0].num_fcs == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(operation_order=("self_attn", "mlp")), "operation_order"),
        (dict(operation_order=None), "operation_order"),
        (dict(attn_cfgs=[ATTENTION, ATTENTION]), "attn_cfgs"),
        (dict(ffn_cfgs=dict(FFN, embed_dims=4)), "embed_dims"),
        (dict(attn_cfgs=dict(ATTENTION, batch_first=True)), "batch_first"),
    ],
)
def test_impossible_layers_raise(changes, message):
    with pytest.raises(ValueError, match=message):
        BaseTransformerLayer(**{"attn_cfgs": ATTENTION, "ffn_cfgs": FFN, "operation_order": ENCODE, **changes})


def sequence(kind, order, **kwargs):
    layers = dict(type="BaseTransformerLayer", attn_cfgs=ATTENTION, ffn_cfgs=FFN, operation_order=order)
    return kind(transformerlayers=layers, num_layers=2, **kwargs).eval()


def test_encoder_ends_with_a_normalisation_only_where_layers_begin_with_one():
    assert sequence(DetrTransformerEncoder, ENCODE).post_norm is None
    assert sequence(DetrTransformerEncoder, ("norm", "self_attn", "norm", "ffn")).post_norm is not None
    with pytest.raises(ValueError, match="post_norm_cfg"):
        sequence(DetrTransformerEncoder, ("norm", "self_attn"), post_norm_cfg=None)


@pytest.mark.parametrize(("returns", "num"), [(False, 1), (True, 2)])
def test_decoder_returns_the_last_or_all_layers(returns, num):
    decoder = sequence(DetrTransformerDecoder, DECODE, return_intermediate=returns)
    query, key = torch.randn(4, 2, 8), torch.randn(6, 2, 8)
    assert decoder(query, key, key).shape == (num, 4, 2, 8)


def test_detr_decoder_layer_needs_six_operations():
    cfg = dict(type="DetrTransformerDecoderLayer", attn_cfgs=ATTENTION, feedforward_channels=12)
    assert LAYERS.build(dict(cfg, operation_order=DECODE)).num_attn == 2
    with pytest.raises(ValueError, match="six"):
        LAYERS.build(dict(cfg, operation_order=ENCODE))


def test_sequence_without_layers_raises():
    with pytest.raises(ValueError, match="transformerlayers"):
        DetrTransformerEncoder()


def test_sine_encoding_counts_only_what_is_not_masked():
    mask = torch.zeros(2, 4, 5, dtype=torch.bool)
    mask[1, :, 3:] = True
    encoding = SinePositionalEncoding(4, normalize=True)(mask)
    assert encoding.shape == (2, 8, 4, 5)
    smaller = SinePositionalEncoding(4, normalize=True)(mask[1:, :, :3])
    assert torch.allclose(encoding[1:, :, :, :3], smaller)


def test_sine_encoding_of_known_values():
    encoding = SinePositionalEncoding(4, temperature=100)(torch.zeros(1, 2, 3))[0, :, 1, 2]
    angles = [2, 2, 0.2, 0.2, 3, 3, 0.3, 0.3]  # second row, third column
    expected = [math.cos(angle) if index % 2 else math.sin(angle) for index, angle in enumerate(angles)]
    assert encoding.tolist() == pytest.approx(expected, abs=1e-6)


def test_learned_encoding_puts_columns_before_rows():
    layer = LearnedPositionalEncoding(2, row_num_embed=4, col_num_embed=5)
    encoding = layer(torch.zeros(3, 4, 5))
    assert encoding.shape == (3, 4, 4, 5)
    assert torch.equal(encoding[1, :, 2, 3], torch.cat([layer.col_embed.weight[3], layer.row_embed.weight[2]]))
    with pytest.raises(ValueError, match="4 x 5"):
        layer(torch.zeros(1, 5, 5))
