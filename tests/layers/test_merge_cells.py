import pytest
import torch
import torch.nn.functional as F

from raydet.layers import ConcatCell, CrissCrossAttention, GlobalPoolingCell, SumCell


def bare(kind, **options):
    return kind(4, 4, with_out_conv=False, **options)


def test_maps_meet_at_the_larger_size_or_at_the_one_asked_for():
    small, large = torch.randn(2, 4, 3, 4), torch.randn(2, 4, 6, 8)
    torch.testing.assert_close(bare(SumCell)(small, large), F.interpolate(small, (6, 8)) + large)
    torch.testing.assert_close(bare(SumCell)(small, large, (3, 4)), small + F.max_pool2d(large, 2))
    bilinear = bare(SumCell, upsample_mode="bilinear")
    torch.testing.assert_close(bilinear(small, large), F.interpolate(small, (6, 8), mode="bilinear") + large)


def test_blocks_that_do_not_fit_are_padded_with_zeros_on_both_sides():
    x = -torch.rand(1, 4, 5, 7) - 1
    shrunk = bare(SumCell)(x, torch.zeros(1, 4, 2, 2), (2, 2))
    torch.testing.assert_close(shrunk, F.max_pool2d(F.pad(x, (0, 1, 0, 1)), (3, 4)))
    assert (shrunk[:, :, 0, 0] < 0).all()
    assert (shrunk[:, :, 1] == 0).all()


def test_what_cells_compute():
    a, b = torch.randn(2, 4, 5, 5), torch.randn(2, 4, 5, 5)
    assert torch.equal(bare(ConcatCell)(a, b), torch.cat([a, b], 1))
    torch.testing.assert_close(bare(GlobalPoolingCell)(a, b), b + b.mean((2, 3), keepdim=True).sigmoid() * a)


def test_the_keys_are_those_of_2x():
    cell = ConcatCell(4, 6, with_input1_conv=True, out_norm_cfg={"type": "BN"}, input_norm_cfg={"type": "BN"})
    assert {name.rsplit(".", 1)[0] for name in cell.state_dict()} == {
        "out_conv.conv", "out_conv.bn", "input1_conv.conv", "input1_conv.bn"
    }  # fmt: skip
    assert cell.out_conv.order == ("act", "conv", "norm")
    assert cell.out_conv.conv.in_channels == 8


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="upsample_mode"):
        bare(SumCell, upsample_mode="area")
    with pytest.raises(ValueError, match="in_channels"):
        GlobalPoolingCell()
    with pytest.raises(ValueError, match="images and channels"):
        bare(SumCell)(torch.ones(1, 4, 2, 2), torch.ones(1, 3, 2, 2))


def test_criss_cross_attention_sees_row_and_column_once():
    layer, x = CrissCrossAttention(16).eval(), torch.randn(2, 16, 4, 5)
    assert torch.equal(layer(x), x)
    torch.nn.init.constant_(layer.gamma.scale, 0.7)
    query, key, value = layer.query_conv(x), layer.key_conv(x), layer.value_conv(x)
    expected = x.clone()
    for i in range(4):
        for j in range(5):
            cross = [(i, c) for c in range(5)] + [(r, j) for r in range(4) if r != i]
            scores = torch.stack([(query[:, :, i, j] * key[:, :, r, c]).sum(1) for r, c in cross], 1).softmax(1)
            for k, (r, c) in enumerate(cross):
                expected[:, :, i, j] += 0.7 * scores[:, k : k + 1] * value[:, :, r, c]
    torch.testing.assert_close(layer(x), expected)
    names = {"query_conv.weight", "key_conv.weight", "value_conv.weight", "gamma.scale"}
    assert names == {name for name in layer.state_dict() if not name.endswith("bias")}
