"""Swin, PVT, ConvNeXt and timm: numbers beside timm's, weights of the authors, grids of other sizes."""

import logging
import re
import sys

import pytest
import torch
from backbone_settings import CONVNEXT, SETTINGS
from torch.nn import functional

from raydet.backbones import (
    ConvNeXt,
    PyramidVisionTransformer,
    PyramidVisionTransformerV2,
    SwinTransformer,
    TIMMBackbone,
)
from raydet.backbones.official_weights import convert_pvt
from raydet.checkpoint import load_state_dict
from raydet.registry import BACKBONES

IMAGES = torch.linspace(-1, 1, 2 * 3 * 64 * 64).view(2, 3, 64, 64).sin()


def swin(**changes):
    torch.manual_seed(0)
    return SwinTransformer(**{**SETTINGS["SwinTransformer"], **changes}).eval()


def pvt(**changes):
    torch.manual_seed(0)
    return PyramidVisionTransformer(**{**SETTINGS["PyramidVisionTransformer"], **changes}).eval()


def assert_close(ours, theirs):
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        assert torch.allclose(mine, other, rtol=1e-3, atol=1e-4)


@pytest.fixture
def timm():
    return pytest.importorskip("timm")


def test_swin_gives_the_features_of_timm_with_the_authors_weights(timm):
    """Windows of 2 on maps of 32, 16, 8 and 4, since timm shifts before it pads."""
    torch.manual_seed(0)
    settings = dict(img_size=128, window_size=2, depths=(2, 2, 2, 2))
    theirs = timm.create_model("swin_tiny_patch4_window7_224", features_only=True, **settings).eval()
    weights = {}
    for key, value in theirs.state_dict().items():
        # timm merges patches before a stage, the authors after the one before
        key = re.sub(r"^layers_(\d)\.downsample", lambda at: f"layers.{int(at[1]) - 1}.downsample", key)
        weights[re.sub(r"^layers_(\d)", r"layers.\1", key)] = torch.randn_like(value) * 0.1 + (value.dim() == 1)
    theirs.load_state_dict(dict(zip(theirs.state_dict(), weights.values(), strict=True)))
    ours = SwinTransformer(depths=(2, 2, 2, 2), window_size=2, convert_weights=True).eval()
    report = load_state_dict(ours, weights)
    assert not report.unexpected
    assert not report.mismatched
    images = torch.randn(1, 3, 128, 128)
    with torch.no_grad():
        maps = [each.permute(0, 3, 1, 2) for each in theirs(images)]
        expected = [functional.layer_norm(each.movedim(1, 3), each.shape[1:2]).movedim(3, 1) for each in maps]
        assert_close(ours(images), expected)


def test_pvt_v2_gives_the_features_of_timm_with_the_authors_weights(timm):
    torch.manual_seed(0)
    theirs = timm.create_model("pvt_v2_b0", features_only=True).eval()
    for parameter in theirs.parameters():
        parameter.data.normal_(float(parameter.dim() == 1), 0.05)
    weights = {}
    for key, value in theirs.state_dict().items():
        key = re.sub(r"^patch_embed\.", "patch_embed1.", key)
        key = re.sub(r"^stages[._](\d)\.(downsample|blocks|norm)", lambda at: f"{STAGE[at[2]]}{int(at[1]) + 1}", key)
        weights[key.replace(".mlp.dwconv.", ".mlp.dwconv.dwconv.")] = value
    ours = PyramidVisionTransformerV2(embed_dims=32, num_layers=(2, 2, 2, 2)).eval()
    assert not load_state_dict(ours, weights, strict=True)
    with torch.no_grad():
        assert_close(ours(IMAGES), theirs(IMAGES))


STAGE = {"downsample": "patch_embed", "blocks": "block", "norm": "norm"}


def test_convnext_gives_the_features_of_timm(timm):
    torch.manual_seed(0)
    theirs = timm.create_model("convnext_atto", features_only=True, conv_mlp=False).eval()
    arch = dict(depths=(2, 2, 6, 2), channels=(40, 80, 160, 320))
    ours = ConvNeXt(arch, out_indices=(0, 1, 2, 3), gap_before_final_norm=False, norm_cfg=dict(type="LN2d", eps=1e-6))
    values = [value for key, value in ours.state_dict().items() if not key.startswith("norm")]
    sizes = [value.shape for value in theirs.state_dict().values()]
    assert sorted(value.shape for value in values) == sorted(sizes)
    rename = {"stem_": "downsample_layers.0.", "conv_dw": "depthwise_conv", "mlp.fc": "pointwise_conv"}
    weights = {}
    for key, value in theirs.state_dict().items():
        key = re.sub(r"^stages[._](\d)\.downsample", r"downsample_layers.\1", key)
        key = re.sub(r"^stages[._](\d)\.blocks", r"stages.\1", key)
        for old, new in rename.items():
            key = key.replace(old, new)
        weights[key] = value
    assert not load_state_dict(ours.eval(), weights).unexpected
    with torch.no_grad():
        expected = [
            functional.layer_norm(each.movedim(1, 3), each.shape[1:2], eps=1e-6).movedim(3, 1)
            for each in theirs(IMAGES)
        ]
        assert_close(ours(IMAGES), expected)


def test_swin_windows_of_another_size_are_interpolated():
    small, large = swin(window_size=3), swin(window_size=5)
    table = small.stages[1].blocks[0].attn.w_msa.relative_position_bias_table
    table.data = torch.arange(25.0)[:, None].repeat(1, 2)
    large.load_state_dict(small.state_dict(), strict=True)
    resized = large.stages[1].blocks[0].attn.w_msa.relative_position_bias_table[:, 0].view(9, 9)
    assert resized.shape == (9, 9)
    assert torch.allclose(resized, 24 - resized.flip(0, 1), atol=1e-4)
    assert resized[4, 4].item() == pytest.approx(12)
    assert bool((resized.diff(dim=1) > 0).all())


@pytest.mark.parametrize("load", [load_state_dict, lambda model, state: model.load_state_dict(state, strict=True)])
def test_swin_positions_of_another_image_size_are_interpolated(load):
    small, large = (
        swin(use_abs_pos_embed=True, pretrain_img_size=32),
        swin(use_abs_pos_embed=True, pretrain_img_size=48),
    )
    small.absolute_pos_embed.data.fill_(2)
    load(large, small.state_dict())
    assert torch.allclose(large.absolute_pos_embed, torch.full((1, 144, 8), 2.0))


def test_swin_takes_itself_out_of_the_weights_of_a_detector():
    model = swin()
    detector = {f"backbone.{key}": torch.zeros_like(value) for key, value in model.state_dict().items()}
    assert not load_state_dict(model, {**detector, "neck.weight": torch.zeros(1)}, strict=True)
    assert not any(parameter.any() for parameter in model.parameters())


def test_swin_positions_follow_the_size_of_the_map():
    model = swin(use_abs_pos_embed=True, pretrain_img_size=32)
    model.absolute_pos_embed.data.fill_(1)
    with torch.no_grad():
        assert [each.shape[-1] for each in model(IMAGES)] == [16, 8, 4, 2]


def test_windows_do_not_see_each_other():
    """What lies in one window changes nothing in another; with a shift the windows are others."""
    attention = swin(window_size=4).stages[0].blocks
    x = torch.randn(1, 64, 8)
    changed = x.clone()
    changed[0, 0] += 1
    for block, rows in ((attention[0], range(4)), (attention[1], (0, 1))):
        with torch.no_grad():
            moved = (block.attn(x, (8, 8)) - block.attn(changed, (8, 8))).abs().sum(-1).view(8, 8) > 1e-6
        assert {int(row) for row in moved.nonzero()[:, 0]} == set(rows)


def test_class_token_is_left_out_and_positions_are_interpolated_when_pvt_is_loaded():
    small, large = pvt(pretrain_img_size=64), pvt(pretrain_img_size=96)
    state = small.state_dict()
    key = "layers.3.1.0.pos_embed"
    state[key] = torch.cat([torch.full((1, 1, 32), 9.0), torch.full((1, 4, 32), 2.0)], dim=1)
    small.load_state_dict(dict(state), strict=True)
    assert small.layers[3][1][0].pos_embed.unique().tolist() == [2]
    load_state_dict(large, state, strict=True)
    assert large.layers[3][1][0].pos_embed.shape == (1, 9, 32)
    assert large.layers[3][1][0].pos_embed.unique().tolist() == [2]


def test_weights_of_pvts_authors_get_the_names_of_2x():
    theirs = {
        "cls_token": torch.zeros(1, 1, 4),
        "pos_embed1": torch.zeros(1, 4, 4),
        "patch_embed1.proj.weight": torch.zeros(4, 3, 2, 2),
        "block1.1.attn.q.weight": torch.full((4, 4), 1.0),
        "block1.1.attn.kv.weight": torch.full((8, 4), 2.0),
        "block1.1.attn.proj.bias": torch.zeros(4),
        "block1.1.attn.sr.bias": torch.zeros(4),
        "block1.1.mlp.fc1.weight": torch.zeros(8, 4),
        "block1.1.mlp.fc2.bias": torch.zeros(4),
        "norm.weight": torch.zeros(4),
        "head.weight": torch.zeros(2, 4),
    }
    ours = convert_pvt(theirs)
    assert list(ours) == [
        "layers.0.1.0.pos_embed",
        "layers.0.0.projection.weight",
        "layers.0.1.2.attn.attn.in_proj_weight",
        "layers.0.1.2.attn.attn.out_proj.bias",
        "layers.0.1.2.attn.sr.bias",
        "layers.0.1.2.ffn.layers.0.weight",
        "layers.0.1.2.ffn.layers.3.bias",
    ]
    assert ours["layers.0.1.2.ffn.layers.0.weight"].shape == (8, 4, 1, 1)
    assert ours["layers.0.1.2.attn.attn.in_proj_weight"][:, 0].tolist() == [1.0] * 4 + [2.0] * 8


def test_checkpoint_without_a_type_is_a_pretrained_pvt(tmp_path):
    model = pvt()
    torch.save(model.state_dict(), tmp_path / "pvt.pth")
    other = pvt(init_cfg=dict(checkpoint=str(tmp_path / "pvt.pth")))
    for parameter in other.parameters():
        parameter.data.zero_()
    other.init_weights()
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("build", [swin, pvt])
def test_pretrained_is_deprecated(build, tmp_path):
    torch.save(build().state_dict(), tmp_path / "weights.pth")
    with pytest.warns(UserWarning, match="deprecated"):
        model = build(pretrained=str(tmp_path / "weights.pth"))
    assert model.init_cfg["type"] == "Pretrained"


def test_convnext_returns_pooled_features_by_default():
    (features,) = ConvNeXt(**CONVNEXT).eval()(IMAGES)
    assert features.shape == (2, 32)


def test_convnext_without_scales_has_no_gamma():
    keys = ConvNeXt(**CONVNEXT, layer_scale_init_value=0, linear_pw_conv=False).state_dict()
    assert not any("gamma" in key for key in keys)
    assert keys["stages.0.0.pointwise_conv1.weight"].dim() == 4


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: swin(strides=(2, 2, 2, 2)), "patch_size"),
        (lambda: swin(frozen_stages=5), "frozen_stages"),
        (lambda: pvt(sr_ratios=(8, 4)), "sr_ratios"),
        (lambda: ConvNeXt("huge"), "arch"),
        (lambda: ConvNeXt(dict(depths=(1, 1), channels=(4,))), "channels"),
    ],
)
def test_impossible_arguments_raise(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_timm_maps_stand_channels_first_and_tell_their_shape(timm):
    model = TIMMBackbone("swin_tiny_patch4_window7_224", features_only=True, img_size=64).eval()
    with torch.no_grad():
        maps = model(IMAGES)
    assert tuple(each.shape[1] for each in maps) == model.channels == (96, 192, 384, 768)
    assert tuple(64 // each.shape[2] for each in maps) == model.strides == (4, 8, 16, 32)


def test_timm_network_without_classifier_returns_its_last_features(timm):
    cfg = dict(type="mmcls.TIMMBackbone", model_name="test_resnet", drop_path_rate=0.1, norm_layer="BN")
    model = BACKBONES.build(cfg).eval()
    (features,) = model(IMAGES)
    assert (features.shape[1],) == model.channels
    assert all(key.startswith("timm_model.") for key in model.state_dict())
    assert not any("fc" in key for key in model.state_dict())


def test_unknown_timm_network_raises_with_the_nearest_name(timm):
    with pytest.raises(ValueError, match="did you mean 'resnet50'"):
        TIMMBackbone("resnet5O")


def test_pretrained_of_timm_is_no_path(timm):
    with pytest.raises(TypeError, match="checkpoint_path"):
        TIMMBackbone("test_resnet", pretrained="a.pth")


def test_missing_timm_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ImportError, match="pip install timm"):
        TIMMBackbone("resnet18")


def test_swin_of_other_heads_is_reported_not_interpolated(caplog):
    other = swin(num_heads=(1, 2, 4, 8), window_size=5)
    with caplog.at_level(logging.WARNING):
        report = load_state_dict(other, swin().state_dict())
    assert "stages.2.blocks.0.attn.w_msa.relative_position_bias_table" in {key for key, _, _ in report.mismatched}
