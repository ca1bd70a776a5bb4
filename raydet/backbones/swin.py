"""Swin Transformer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from raydet.backbones.chain import check_indices
from raydet.backbones.official_weights import convert_below, convert_swin, take_backbone
from raydet.layers import (
    FFN,
    BaseModule,
    Cfg,
    InitCfg,
    ModuleList,
    PatchEmbed,
    PatchMerging,
    ShiftWindowMSA,
    build_norm_layer,
    fit_when_loading,
    freeze,
    init_cfg_with_pretrained,
    nlc_to_nchw,
    recompute,
    resize_grid,
    rising_rates,
)

_GELU: Cfg = {"type": "GELU"}
_LN: Cfg = {"type": "LN"}
_INIT: InitCfg = (
    {"type": "TruncNormal", "std": 0.02, "layer": "Linear"},
    {"type": "Constant", "val": 1, "layer": "LayerNorm"},
)
Size = tuple[int, int]


class SwinBlock(BaseModule):
    """Attention within windows and a feed-forward network, each after a normalisation.

    Args:
        embed_dims: channels.
        num_heads: number of heads.
        feedforward_channels: channels in the feed-forward network.
        window_size: side of a window.
        shift: whether windows are shifted by half their side.
        qkv_bias: see `WindowMSA`.
        qk_scale: see `WindowMSA`.
        drop_rate: dropout of outputs.
        attn_drop_rate: dropout of attention weights.
        drop_path_rate: probability of dropping a branch of a sample.
        act_cfg: activation.
        norm_cfg: normalisation.
        with_cp: recompute in the backward pass instead of keeping activations.
        init_cfg: how to initialise.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        feedforward_channels: int,
        window_size: int = 7,
        shift: bool = False,
        qkv_bias: bool = True,
        qk_scale: float | None = None,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        act_cfg: Cfg = _GELU,
        norm_cfg: Cfg = _LN,
        with_cp: bool = False,
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(init_cfg)
        drop_path = {"type": "DropPath", "drop_prob": drop_path_rate}
        self.with_cp = with_cp
        self.norm1 = build_norm_layer(norm_cfg, embed_dims)[1]
        self.attn = ShiftWindowMSA(
            embed_dims,
            num_heads,
            window_size,
            window_size // 2 if shift else 0,
            qkv_bias,
            qk_scale,
            attn_drop_rate,
            drop_rate,
            drop_path,
        )
        self.norm2 = build_norm_layer(norm_cfg, embed_dims)[1]
        self.ffn = FFN(embed_dims, feedforward_channels, act_cfg=act_cfg, ffn_drop=drop_rate, dropout_layer=drop_path)

    def forward(self, x: Tensor, hw_shape: Size) -> Tensor:
        """Map `(N, H * W, C)` to the same shape."""

        def inner(x: Tensor) -> Tensor:
            x = x + self.attn(self.norm1(x), hw_shape)
            out: Tensor = self.ffn(self.norm2(x), identity=x)
            return out

        return recompute(inner, x, self.with_cp)


class SwinBlockSequence(BaseModule):
    """A stage: blocks of which every second one has shifted windows, then `downsample`, if any.

    Args:
        depth: number of blocks.
        drop_path_rates: one per block.
        downsample: what follows, returned beside the output of the blocks.
        init_cfg: how to initialise.
        block: arguments of every `SwinBlock`.
    """

    def __init__(
        self,
        depth: int,
        drop_path_rates: Sequence[float],
        downsample: nn.Module | None = None,
        init_cfg: InitCfg = None,
        **block: Any,
    ) -> None:
        super().__init__(init_cfg)
        self.blocks = ModuleList(
            [SwinBlock(shift=index % 2 == 1, drop_path_rate=drop_path_rates[index], **block) for index in range(depth)]
        )
        self.downsample = downsample

    def forward(self, x: Tensor, hw_shape: Size) -> tuple[Tensor, Size, Tensor]:
        """Map `(N, H * W, C)` to the input of the next stage, its size, and the output of this one."""
        for block in self.blocks:
            x = block(x, hw_shape)
        if self.downsample is None:
            return x, hw_shape, x
        smaller, size = self.downsample(x, hw_shape)
        return smaller, size, x


class SwinTransformer(BaseModule):
    """Transformer on windows, with patches merged between stages (arXiv:2103.14030).

    Weights for other window sizes, and absolute positions of other image sizes, are interpolated when they are loaded.

    Args:
        pretrain_img_size: size of the images that the absolute positions are for.
        in_channels: channels of the images.
        embed_dims: channels of the first stage; each stage has twice as many as the one before.
        patch_size: side of a patch.
        window_size: side of a window.
        mlp_ratio: channels in the feed-forward networks divided by those of the stage.
        depths: blocks of each stage.
        num_heads: heads of each stage.
        strides: stride of the patches, and of the merging before each later stage.
        out_indices: which stages to return, each after a normalisation `norm<index>`.
        qkv_bias: whether queries, keys and values have a bias.
        qk_scale: factor of the scores; one over the root of a head's channels when None.
        patch_norm: normalise patches after embedding and while merging.
        drop_rate: dropout of outputs.
        attn_drop_rate: dropout of attention weights.
        drop_path_rate: probability of dropping a branch of the last block; it rises evenly from 0.
        use_abs_pos_embed: add a learned embedding of the position to the patches.
        act_cfg: activation.
        norm_cfg: normalisation.
        with_cp: recompute in the backward pass instead of keeping activations.
        pretrained: deprecated; a checkpoint to start from.
        convert_weights: whether weights of Swin's authors may be loaded.
        frozen_stages: the patch embedding and so many stages are held still; -1 for none.
        init_cfg: how to initialise.
    """

    def __init__(
        self,
        pretrain_img_size: int | Size = 224,
        in_channels: int = 3,
        embed_dims: int = 96,
        patch_size: int = 4,
        window_size: int = 7,
        mlp_ratio: float = 4,
        depths: Sequence[int] = (2, 2, 6, 2),
        num_heads: Sequence[int] = (3, 6, 12, 24),
        strides: Sequence[int] = (4, 2, 2, 2),
        out_indices: Sequence[int] = (0, 1, 2, 3),
        qkv_bias: bool = True,
        qk_scale: float | None = None,
        patch_norm: bool = True,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.1,
        use_abs_pos_embed: bool = False,
        act_cfg: Cfg = _GELU,
        norm_cfg: Cfg = _LN,
        with_cp: bool = False,
        pretrained: str | None = None,
        convert_weights: bool = False,
        frozen_stages: int = -1,
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(init_cfg_with_pretrained(init_cfg, pretrained, _INIT))
        check_indices("out_indices", out_indices, 0, len(depths) - 1)
        check_indices("frozen_stages", [frozen_stages], -1, len(depths))
        if strides[0] != patch_size:
            raise ValueError(
                f"strides[0] must be patch_size = {patch_size}, as patches do not overlap, got {strides!r}"
            )
        self.convert_weights = convert_weights
        self.frozen_stages = frozen_stages
        self.out_indices = tuple(out_indices)
        self.use_abs_pos_embed = use_abs_pos_embed
        merge_norm = norm_cfg if patch_norm else None
        block: dict[str, Any] = {
            "window_size": window_size,
            "qkv_bias": qkv_bias,
            "qk_scale": qk_scale,
            "drop_rate": drop_rate,
            "attn_drop_rate": attn_drop_rate,
            "act_cfg": act_cfg,
            "norm_cfg": norm_cfg,
            "with_cp": with_cp,
        }
        self.patch_embed = PatchEmbed(
            in_channels, embed_dims, kernel_size=patch_size, stride=strides[0], norm_cfg=merge_norm
        )
        if use_abs_pos_embed:
            self._add_positions(pretrain_img_size, patch_size, embed_dims)
        self.drop_after_pos = nn.Dropout(drop_rate)
        rates = rising_rates(drop_path_rate, depths)
        self.num_features = [embed_dims * 2**index for index in range(len(depths))]
        self.stages = ModuleList()
        for index, channels in enumerate(self.num_features):
            merging = None
            if index < len(depths) - 1:
                merging = PatchMerging(channels, 2 * channels, stride=strides[index + 1], norm_cfg=merge_norm)
            block.update(
                embed_dims=channels, num_heads=num_heads[index], feedforward_channels=int(mlp_ratio * channels)
            )
            self.stages.append(SwinBlockSequence(depths[index], rates[index], merging, **block))
        for index in self.out_indices:
            self.add_module(f"norm{index}", build_norm_layer(norm_cfg, self.num_features[index])[1])
        fit_when_loading(self)
        self._freeze_stages()

    def _add_positions(self, image_size: int | Size, patch_size: int, channels: int) -> None:
        height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
        self.pos_shape = (height // patch_size, width // patch_size)
        self.absolute_pos_embed = nn.Parameter(torch.zeros(1, self.pos_shape[0] * self.pos_shape[1], channels))

    def init_weights(self) -> None:
        """Initialise as `init_cfg` says, and absolute positions from a narrow normal distribution."""
        if self.use_abs_pos_embed:
            nn.init.trunc_normal_(self.absolute_pos_embed, std=0.02)
        super().init_weights()

    def fit_weights(self, weights: dict[str, Tensor], prefix: str) -> None:
        """Take the backbone out of a detector; translate weights of the authors; interpolate absolute positions."""
        if f"{prefix}backbone.patch_embed.projection.weight" in weights:
            convert_below(weights, prefix, take_backbone)
        if self.convert_weights and f"{prefix}layers.0.blocks.0.attn.qkv.weight" in weights:
            convert_below(weights, prefix, convert_swin)
        positions = weights.get(f"{prefix}absolute_pos_embed")
        if positions is not None and self.use_abs_pos_embed and positions.shape != self.absolute_pos_embed.shape:
            weights[f"{prefix}absolute_pos_embed"] = resize_grid(positions[0], self.pos_shape)[None]

    def _positions(self, hw_shape: Size) -> Tensor:
        if hw_shape == self.pos_shape:
            return self.absolute_pos_embed
        grid = nlc_to_nchw(self.absolute_pos_embed, self.pos_shape)
        resized = nn.functional.interpolate(grid, size=hw_shape, mode="bicubic", align_corners=False)
        return resized.flatten(2).transpose(1, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Map images `(N, in_channels, H, W)` to the maps of `out_indices`, strides 4, 8, 16, 32 by default."""
        x, size = self.patch_embed(x)
        if self.use_abs_pos_embed:
            x = x + self._positions(size)
        x = self.drop_after_pos(x)
        outs = []
        for index, stage in enumerate(self.stages):
            here = size
            x, size, out = stage(x, here)
            if index in self.out_indices:
                outs.append(nlc_to_nchw(getattr(self, f"norm{index}")(out), here).contiguous())
        return tuple(outs)

    def _freeze_stages(self) -> None:
        if self.frozen_stages < 0:
            return
        freeze([self.patch_embed, self.drop_after_pos, *self.stages[: self.frozen_stages]])
        freeze([getattr(self, f"norm{index}") for index in self.out_indices if index < self.frozen_stages])
        if self.use_abs_pos_embed:
            self.absolute_pos_embed.requires_grad = False

    def train(self, mode: bool = True) -> SwinTransformer:
        """Change mode; what is frozen stays in eval mode."""
        super().train(mode)
        self._freeze_stages()
        return self
