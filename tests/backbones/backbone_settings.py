"""Small settings of every backbone, and what its maps look like for images of 64 pixels."""

from __future__ import annotations

from typing import Any

HR = {
    f"stage{number}": dict(
        num_modules=1,
        num_branches=number,
        block="BOTTLENECK" if number == 1 else "BASIC",
        num_blocks=(1,) * number,
        num_channels=tuple(4 * branch for branch in range(1, number + 1)),
    )
    for number in range(1, 5)
}
RESNET = dict(depth=50, base_channels=4)
TRIDENT = dict(
    num_stages=3,
    strides=(1, 2, 2),
    dilations=(1, 1, 1),
    out_indices=(0, 1, 2),
    num_branch=3,
    test_branch_idx=1,
    trident_dilations=(1, 2, 3),
)
PVT = dict(embed_dims=8, num_heads=(1, 2, 3, 4), mlp_ratios=(2, 2, 2, 2), pretrain_img_size=64)
CONVNEXT = dict(arch=dict(depths=(1, 1, 2, 1), channels=(8, 16, 24, 32)))
STRIDES = (4, 8, 16, 32)

SETTINGS: dict[str, dict[str, Any]] = {
    "ResNet": RESNET,
    "ResNetV1d": RESNET,
    "ResNeXt": dict(RESNET, groups=4, base_width=1),
    "RegNet": dict(arch=dict(w0=8, wa=8.0, wm=2.0, group_w=4, depth=6, bot_mul=1.0), stem_channels=8),
    "Res2Net": dict(RESNET, base_width=2),
    "ResNeSt": RESNET,
    "DetectoRS_ResNet": RESNET,
    "DetectoRS_ResNeXt": dict(RESNET, groups=4, base_width=1),
    "TridentResNet": dict(RESNET, **TRIDENT),
    "HRNet": dict(extra=HR),
    "HourglassNet": dict(downsample_times=2, stage_channels=(8, 8, 12), stage_blocks=(1, 1, 2), feat_channel=8),
    "Darknet": dict(out_indices=range(6)),
    "CSPDarknet": dict(deepen_factor=0.1, widen_factor=0.125, out_indices=range(5)),
    "SSDVGG": dict(depth=11, out_feature_indices=(4, 24)),
    "MobileNetV2": dict(widen_factor=0.25, out_indices=(0, 1, 2, 7)),
    "EfficientNet": dict(arch="b0", out_indices=range(7), drop_path_rate=0.1),
    "SwinTransformer": dict(embed_dims=8, depths=(2, 2, 2, 2), num_heads=(1, 2, 2, 4), window_size=3),
    "PyramidVisionTransformer": dict(PVT, num_layers=(1, 1, 2, 1)),
    "PyramidVisionTransformerV2": dict(PVT, num_layers=(1, 2, 1, 1)),
    "ConvNeXt": dict(CONVNEXT, out_indices=(0, 1, 2, 3), gap_before_final_norm=False, drop_path_rate=0.1),
    "TIMMBackbone": dict(model_name="test_resnet", features_only=True, out_indices=(1, 2, 3, 4)),
}
"""Arguments by type."""

MAPS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "ResNet": ((16, 32, 64, 128), STRIDES),
    "ResNetV1d": ((16, 32, 64, 128), STRIDES),
    "ResNeXt": ((16, 32, 64, 128), STRIDES),
    "RegNet": ((8, 16, 32, 64), STRIDES),
    "Res2Net": ((16, 32, 64, 128), STRIDES),
    "ResNeSt": ((16, 32, 64, 128), STRIDES),
    "DetectoRS_ResNet": ((16, 32, 64, 128), STRIDES),
    "DetectoRS_ResNeXt": ((16, 32, 64, 128), STRIDES),
    "TridentResNet": ((16, 32, 64), STRIDES[:3]),
    "HRNet": ((4, 8, 12, 16), STRIDES),
    "HourglassNet": ((8, 8), (4, 4)),
    "Darknet": ((32, 64, 128, 256, 512, 1024), (1, 2, 4, 8, 16, 32)),
    "CSPDarknet": ((8, 16, 32, 64, 128), (2, 4, 8, 16, 32)),
    "SSDVGG": ((128, 1024), (2, 16)),
    "MobileNetV2": ((8, 8, 8, 1280), (2, 4, 8, 32)),
    "EfficientNet": ((32, 16, 24, 40, 112, 320, 1280), (2, 2, 4, 8, 16, 32, 32)),
    "SwinTransformer": ((8, 16, 32, 64), STRIDES),
    "PyramidVisionTransformer": ((8, 16, 24, 32), STRIDES),
    "PyramidVisionTransformerV2": ((8, 16, 24, 32), STRIDES),
    "ConvNeXt": ((8, 16, 24, 32), STRIDES),
    "TIMMBackbone": ((32, 48, 192, 96), STRIDES),
}
"""Channels and strides of the maps by type."""

STEM_AND_STAGES = {0: ("conv1", "bn1"), 2: ("conv1", "bn1", "layer1", "layer2")}
DEEP_STEM_AND_STAGES = {0: ("stem",), 2: ("stem", "layer1", "layer2")}
FROZEN: dict[str, dict[int, tuple[str, ...]]] = {
    "ResNet": STEM_AND_STAGES,
    "ResNetV1d": DEEP_STEM_AND_STAGES,
    "ResNeXt": STEM_AND_STAGES,
    "RegNet": STEM_AND_STAGES,
    "Res2Net": DEEP_STEM_AND_STAGES,
    "ResNeSt": DEEP_STEM_AND_STAGES,
    "DetectoRS_ResNet": STEM_AND_STAGES,
    "DetectoRS_ResNeXt": STEM_AND_STAGES,
    "TridentResNet": STEM_AND_STAGES,
    "Darknet": {0: (), 2: ("conv1", "conv_res_block1")},
    "CSPDarknet": {0: ("stem",), 2: ("stem", "stage1", "stage2")},
    "MobileNetV2": {0: ("conv1",), 2: ("conv1", "layer1", "layer2")},
    "EfficientNet": {0: (), 2: ("layers.0", "layers.1")},
    "SwinTransformer": {0: ("patch_embed",), 2: ("patch_embed", "stages.0", "stages.1", "norm0", "norm1")},
    "ConvNeXt": {0: (), 1: ("downsample_layers.0", "stages.0")},
}
"""Children that are held still, by type and `frozen_stages`; types that take none are left out."""

HOLD_NORMS = (*(kind for kind in FROZEN if kind not in ("SwinTransformer", "ConvNeXt")), "HRNet")
"""Types with `norm_eval`."""

RECOMPUTE = (
    *("ResNet", "ResNetV1d", "ResNeXt", "RegNet", "Res2Net", "ResNeSt", "DetectoRS_ResNet", "TridentResNet"),
    *("HRNet", "MobileNetV2", "EfficientNet", "SwinTransformer", "ConvNeXt"),
)
"""Types with `with_cp`."""

OUT_OF_RANGE = {
    kind: dict(out_feature_indices=(99,)) if kind == "SSDVGG" else dict(out_indices=(9,))
    for kind in SETTINGS
    if kind not in ("HRNet", "HourglassNet")
}
"""An argument by type that asks for a map that is not there."""
