import pytest
import torch
import torch.nn.functional as F
from torch import nn

from raydet.necks import FPN

MAPS = [torch.randn(1, c, s, s, generator=torch.Generator().manual_seed(s)) for c, s in [(4, 16), (8, 8), (16, 4)]]


def fpn(num_outs=3, **kwargs):
    return FPN([4, 8, 16], 6, num_outs, **kwargs)


def sizes(outs):
    return [out.shape[-1] for out in outs]


def test_outputs_have_one_channel_number_and_the_sizes_of_the_inputs():
    outs = fpn()(MAPS)
    assert sizes(outs) == [16, 8, 4]
    assert {out.shape[1] for out in outs} == {6}


def test_coarser_levels_are_added_to_finer_ones():
    neck = fpn()
    laterals = [conv(x) for conv, x in zip(neck.lateral_convs, MAPS, strict=True)]
    middle = laterals[1] + F.interpolate(laterals[2], scale_factor=2)
    expected = neck.fpn_convs[0](laterals[0] + F.interpolate(middle, scale_factor=2))
    assert torch.allclose(neck(MAPS)[0], expected, atol=1e-6)


def test_odd_sizes_are_met_exactly():
    outs = fpn()([torch.rand(1, c, s, s) for c, s in [(4, 15), (8, 8), (16, 3)]])
    assert sizes(outs) == [15, 8, 3]


def test_scale_factor_in_upsample_cfg_is_used():
    outs = fpn(upsample_cfg=dict(scale_factor=2, mode="bilinear", align_corners=False))(MAPS)
    assert sizes(outs) == [16, 8, 4]


def test_extra_levels_without_convolutions_are_pooled():
    neck = fpn(5)
    outs = neck(MAPS)
    assert sizes(outs) == [16, 8, 4, 2, 1]
    assert torch.equal(outs[3], outs[2][..., ::2, ::2])
    assert len(neck.fpn_convs) == 3


@pytest.mark.parametrize(
    ("add", "source"), [(True, "input"), ("on_input", "input"), ("on_lateral", "lateral"), ("on_output", "output")]
)
def test_first_extra_convolution_reads_from_its_source(add, source):
    neck = fpn(5, add_extra_convs=add)
    outs = neck(MAPS)
    sources = {"input": MAPS[2], "lateral": neck.lateral_convs[2](MAPS[2]), "output": outs[2]}
    assert torch.allclose(outs[3], neck.fpn_convs[3](sources[source]), atol=1e-6)
    assert torch.allclose(outs[4], neck.fpn_convs[4](outs[3]), atol=1e-6)


def test_relu_before_extra_convs_spares_the_first():
    neck = fpn(5, add_extra_convs="on_output", relu_before_extra_convs=True)
    outs = neck(MAPS)
    assert torch.allclose(outs[3], neck.fpn_convs[3](outs[2]), atol=1e-6)
    assert torch.allclose(outs[4], neck.fpn_convs[4](outs[3].relu()), atol=1e-6)


def test_start_level_leaves_finer_inputs_out():
    neck = fpn(4, start_level=1, add_extra_convs="on_input")
    assert sizes(neck(MAPS)) == [8, 4, 2, 1]
    assert [conv.in_channels for conv in neck.lateral_convs] == [8, 16]


def test_end_level_leaves_coarser_inputs_out():
    assert sizes(fpn(2, end_level=1)(MAPS)) == [16, 8]


def test_no_norm_on_lateral_leaves_it_to_the_outputs():
    neck = fpn(norm_cfg=dict(type="GN", num_groups=2), no_norm_on_lateral=True)
    assert not any(conv.with_norm for conv in neck.lateral_convs)
    assert all(conv.with_norm for conv in neck.fpn_convs)


def test_convolutions_start_by_xavier_uniform():
    neck = fpn()
    neck.init_weights()
    bound = (6 / (6 * 9 + 6 * 9)) ** 0.5
    assert neck.fpn_convs[0].conv.weight.abs().max() <= bound
    assert all(bool((m.bias == 0).all()) for m in neck.modules() if isinstance(m, nn.Conv2d))


def test_inputs_are_not_changed():
    before = [each.clone() for each in MAPS]
    fpn(5, add_extra_convs="on_input")(MAPS)
    assert all(torch.equal(a, b) for a, b in zip(before, MAPS, strict=True))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(num_outs=2), "num_outs"),
        (dict(num_outs=3, end_level=1), "num_outs"),
        (dict(num_outs=3, end_level=3), "end_level"),
        (dict(add_extra_convs="on_top"), "add_extra_convs"),
    ],
)
def test_impossible_arguments_raise(arguments, message):
    with pytest.raises(ValueError, match=message):
        fpn(**arguments)


def test_wrong_number_of_inputs_raises():
    with pytest.raises(ValueError, match="3 input levels"):
        fpn()(MAPS[:2])
