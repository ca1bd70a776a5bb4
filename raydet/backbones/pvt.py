"""Pyramid Vision Transformers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from raydet.backbones.chain import check_indices
from raydet.backbones.official_weights import convert_below, convert_pvt
from raydet.backbones.pvt_layers import AbsolutePositionEmbedding, PVTEncoderLayer, Size
from raydet.layers import (
    BaseModule,
    Cfg,
    InitCfg,
    ModuleList,
    PatchEmbed,
    build_norm_layer,
    fit_when_loading,
    init_cfg_with_pretrained,
    nlc_to_nchw,
    normal_init,
    rising_rates,
)

_GELU: Cfg = {"type": "GELU"}
_LN: Cfg = {"type": "LN", "eps": 1e-6}
_INIT: InitCfg = (
    {"type": "TruncNormal", "std": 0.02, "layer": "Linear"},
    {"type": "Constant", "val": 1, "layer": "LayerNorm"},
)


class PyramidVisionTransformer(BaseModule):
    """Transformer of four sizes whose attention looks at smaller maps (arXiv:2102.12122).

    Its children stand in `layers`: for each stage patch embedding, blocks (after the positions, if any), normalisation.

    Args:
        pretrain_img_size: size of the images that the positions are for.
        in_channels: channels of the images.
        embed_dims: channels per head.
        num_stages: number of stages.
        num_layers: blocks of each stage.
        num_heads: heads of each stage.
        patch_sizes: side of a patch of each stage.
        strides: distance of patches.
        paddings: padding of the map before it is cut into patches.
        sr_ratios: how much smaller the maps are that attention looks at.
        out_indices: which stages to return.
        mlp_ratios: channels in the feed-forward networks divided by those of the stage.
        qkv_bias: whether projections of the attention have a bias.
        drop_rate: dropout of outputs.
        attn_drop_rate: dropout of attention weights.
        drop_path_rate: probability of dropping a branch of the last block; it rises evenly from 0.
        use_abs_pos_embed: add a learned embedding of the position in every stage.
        norm_after_stage: normalise the output of every stage.
        use_conv_ffn: depthwise convolutions in the feed-forward networks.
        act_cfg: activation.
        norm_cfg: normalisation.
        pretrained: deprecated; a checkpoint to start from.
        convert_weights: whether weights of PVT's authors may be loaded.
        init_cfg: how to initialise; a dict with only `checkpoint` starts from there.
    """

    def __init__(
        self,
        pretrain_img_size: int | Size = 224,
        in_channels: int = 3,
        embed_dims: int = 64,
        num_stages: int = 4,
        num_layers: Sequence[int] = (3, 4, 6, 3),
        num_heads: Sequence[int] = (1, 2, 5, 8),
        patch_sizes: Sequence[int] = (4, 2, 2, 2),
        strides: Sequence[int] = (4, 2, 2, 2),
        paddings: Sequence[int] = (0, 0, 0, 0),
        sr_ratios: Sequence[int] = (8, 4, 2, 1),
        out_indices: Sequence[int] = (0, 1, 2, 3),
        mlp_ratios: Sequence[int] = (8, 8, 4, 4),
        qkv_bias: bool = True,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.1,
        use_abs_pos_embed: bool = True,
        norm_after_stage: bool = False,
        use_conv_ffn: bool = False,
        act_cfg: Cfg = _GELU,
        norm_cfg: Cfg = _LN,
        pretrained: str | None = None,
        convert_weights: bool = True,
        init_cfg: InitCfg = None,
    ) -> None:
        if isinstance(init_cfg, Mapping) and "checkpoint" in init_cfg:
            init_cfg = {"type": "Pretrained", **init_cfg}
        self._starts_afresh = init_cfg is None and pretrained is None
        super().__init__(init_cfg_with_pretrained(init_cfg, pretrained, _INIT))
        stages = _per_stage(
            num_stages,
            num_layers=num_layers,
            num_heads=num_heads,
            patch_sizes=patch_sizes,
            strides=strides,
            paddings=paddings,
            sr_ratios=sr_ratios,
            mlp_ratios=mlp_ratios,
        )
        check_indices("out_indices", out_indices, 0, num_stages - 1)
        self.embed_dims = embed_dims
        self.out_indices = tuple(out_indices)
        self.convert_weights = convert_weights
        block: dict[str, Any] = {
            "drop_rate": drop_rate,
            "attn_drop_rate": attn_drop_rate,
            "qkv_bias": qkv_bias,
            "act_cfg": act_cfg,
            "norm_cfg": norm_cfg,
            "use_conv_ffn": use_conv_ffn,
        }
        rates = rising_rates(drop_path_rate, num_layers)
        self.layers = ModuleList()
        for index, stage in enumerate(stages):
            channels = embed_dims * num_heads[index]
            patches = _patches(in_channels, channels, norm_cfg, stage)
            blocks = _blocks(channels, rates[index], stage, block)
            if use_abs_pos_embed:
                grid = _shrunk(pretrain_img_size, math.prod(patch_sizes[: index + 1]))
                blocks.insert(0, AbsolutePositionEmbedding(grid, channels, drop_rate))
            norm = build_norm_layer(norm_cfg, channels)[1] if norm_after_stage else nn.Identity()
            self.layers.append(ModuleList([patches, ModuleList(blocks), norm]))
            in_channels = channels
        fit_when_loading(self)

    def init_weights(self) -> None:
        """Initialise as `init_cfg` says; without one, draw convolutions by the number of their outputs."""
        super().init_weights()
        if self._starts_afresh:
            for module in self.modules():
                if isinstance(module, nn.Conv2d):
                    fan_out = math.prod(module.kernel_size) * module.out_channels // module.groups
                    normal_init(module, 0, math.sqrt(2 / fan_out))

    def fit_weights(self, weights: dict[str, Tensor], prefix: str) -> None:
        """Translate weights of the authors."""
        if self.convert_weights and f"{prefix}patch_embed1.proj.weight" in weights:
            convert_below(weights, prefix, convert_pvt)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Map images `(N, in_channels, H, W)` to the maps of `out_indices`, strides 4, 8, 16, 32 by default."""
        outs = []
        stages: Any = self.layers
        for index, (patches, blocks, norm) in enumerate(stages):
            x, size = patches(x)
            for block in blocks:
                x = block(x, size)
            x = nlc_to_nchw(norm(x), size)
            if index in self.out_indices:
                outs.append(x)
        return tuple(outs)


class PyramidVisionTransformerV2(PyramidVisionTransformer):
    """PVT with overlapping patches and convolutions in place of positions (arXiv:2106.13797).

    Args:
        kwargs: arguments of `PyramidVisionTransformer`, but for those that make the difference.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            patch_sizes=(7, 3, 3, 3),
            paddings=(3, 1, 1, 1),
            use_abs_pos_embed=False,
            norm_after_stage=True,
            use_conv_ffn=True,
            **kwargs,
        )


def _shrunk(size: int | Size, factor: int) -> Size:
    height, width = (size, size) if isinstance(size, int) else size
    return height // factor, width // factor


def _per_stage(num_stages: int, **arguments: Sequence[int]) -> list[dict[str, int]]:
    """Arguments with one entry per stage, as one dict per stage."""
    for name, values in arguments.items():
        if len(values) != num_stages:
            raise ValueError(f"{name} needs {num_stages} entries, one per stage, got {values!r}")
    return [{name: values[index] for name, values in arguments.items()} for index in range(num_stages)]


def _patches(in_channels: int, channels: int, norm_cfg: Cfg, stage: Mapping[str, int]) -> PatchEmbed:
    return PatchEmbed(
        in_channels,
        channels,
        kernel_size=stage["patch_sizes"],
        stride=stage["strides"],
        padding=stage["paddings"],
        norm_cfg=norm_cfg,
    )


def _blocks(
    channels: int, drop_path_rates: Sequence[float], stage: Mapping[str, int], block: Mapping[str, Any]
) -> list[nn.Module]:
    width = stage["mlp_ratios"] * channels
    return [
        PVTEncoderLayer(channels, stage["num_heads"], width, drop_path_rate=rate, sr_ratio=stage["sr_ratios"], **block)
        for rate in drop_path_rates
    ]
