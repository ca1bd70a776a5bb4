import pytest
import torch
import torch.nn.functional as F
import torchvision
from raydet_ops import DeformConv2d, DeformConv2dPack, ModulatedDeformConv2d, ModulatedDeformConv2dPack

SIZES = {"stride": 2, "padding": 1, "groups": 2, "deform_groups": 2}


def test_a_new_pack_is_a_convolution():
    x = torch.randn(2, 4, 7, 6)
    conv = DeformConv2dPack(4, 6, 3, **SIZES)
    torch.testing.assert_close(conv(x), F.conv2d(x, conv.weight, None, 2, 1, 1, 2))
    conv = ModulatedDeformConv2dPack(4, 6, 3, **SIZES)  # whose masks are sigmoid(0)
    torch.testing.assert_close(conv(x), F.conv2d(x, conv.weight / 2, conv.bias, 2, 1, 1, 2))


@pytest.mark.parametrize(("pack", "outputs"), [(DeformConv2dPack, 36), (ModulatedDeformConv2dPack, 54)])
def test_the_keys_are_those_of_2x(pack, outputs):
    shapes = {name: tuple(value.shape) for name, value in pack(4, 6, 3, bias=False, **SIZES).state_dict().items()}
    offsets = {"conv_offset.weight": (outputs, 4, 3, 3), "conv_offset.bias": (outputs,)}
    assert shapes == {"weight": (6, 2, 3, 3), **offsets}
    assert "bias" not in dict(DeformConv2d(4, 4, 3).named_parameters())
    assert "bias" in dict(ModulatedDeformConv2d(4, 4, 3).named_parameters())


def test_predicted_offsets_and_masks_are_used_in_their_order():
    conv, x = ModulatedDeformConv2dPack(4, 4, 3, padding=1), torch.randn(1, 4, 6, 5)
    torch.nn.init.normal_(conv.conv_offset.weight)
    offset, mask = conv.conv_offset(x).split([18, 9], dim=1)
    expected = torchvision.ops.deform_conv2d(x, offset, conv.weight, conv.bias, 1, 1, 1, mask.sigmoid())
    torch.testing.assert_close(conv(x), expected)


@pytest.mark.parametrize("pack", [DeformConv2dPack, ModulatedDeformConv2dPack])
def test_old_name_of_the_groups_is_understood(pack):
    with pytest.warns(DeprecationWarning, match="old name of deform_groups"):
        assert pack(4, 4, 3, deformable_groups=2).deform_groups == 2


def test_initial_weights():
    assert DeformConv2d(64, 64, 3).weight.std().item() == pytest.approx((2 / 576) ** 0.5, rel=0.05)
    conv = ModulatedDeformConv2d(64, 64, 3)
    assert conv.weight.abs().max() <= 1 / 24
    assert not conv.bias.any()
    pack = ModulatedDeformConv2dPack(4, 4, 3)
    torch.nn.init.ones_(pack.conv_offset.weight)
    pack.init_weights()
    assert not pack.conv_offset.weight.any()


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="bias"):
        DeformConv2d(4, 4, 3, bias=True)
    with pytest.raises(ValueError, match="groups"):
        ModulatedDeformConv2d(4, 4, 3, groups=3)
