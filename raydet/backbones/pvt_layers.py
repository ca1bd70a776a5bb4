"""The layers of Pyramid Vision Transformers."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raydet.layers import (
    BaseModule,
    Cfg,
    InitCfg,
    MultiheadAttention,
    Sequential,
    build_activation_layer,
    build_dropout,
    build_norm_layer,
    fit_when_loading,
    nchw_to_nlc,
    nlc_to_nchw,
    resize_grid,
)

_GELU: Cfg = {"type": "GELU"}
_LN: Cfg = {"type": "LN"}
Size = tuple[int, int]


class MixFFN(BaseModule):
    """Feed-forward network of 1x1 convolutions, with a depthwise 3x3 one in between if wanted.

    Args:
        embed_dims: channels of input and output.
        feedforward_channels: channels in between.
        act_cfg: activation.
        ffn_drop: dropout after the activation and at the end.
        dropout_layer: one more dropout of the output, or None.
        use_conv: whether there is a depthwise convolution.
        init_cfg: how to initialise.
    """

    def __init__(
        self,
        embed_dims: int,
        feedforward_channels: int,
        act_cfg: Cfg = _GELU,
        ffn_drop: float = 0.0,
        dropout_layer: Cfg | None = None,
        use_conv: bool = False,
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(init_cfg)
        width = feedforward_channels
        middle = [nn.Conv2d(width, width, 3, padding=1, groups=width)] if use_conv else []
        self.layers = Sequential(
            nn.Conv2d(embed_dims, width, 1),
            *middle,
            build_activation_layer(act_cfg),
            nn.Dropout(ffn_drop),
            nn.Conv2d(width, embed_dims, 1),
            nn.Dropout(ffn_drop),
        )
        self.dropout_layer = build_dropout(dropout_layer) if dropout_layer else nn.Identity()

    def forward(self, x: Tensor, hw_shape: Size, identity: Tensor | None = None) -> Tensor:
        """Map `(N, H * W, C)` to the same shape; `identity` is added, `x` when None."""
        branch = self.dropout_layer(nchw_to_nlc(self.layers(nlc_to_nchw(x, hw_shape))))
        out: Tensor = (x if identity is None else identity) + branch
        return out


class SpatialReductionAttention(MultiheadAttention):
    """Self-attention of all tokens to a map that is `sr_ratio` times smaller.

    Args:
        embed_dims: channels.
        num_heads: number of heads.
        attn_drop: dropout of the attention weights.
        proj_drop: dropout of the output.
        dropout_layer: one more dropout of the output, or None.
        batch_first: whether sequences are `(N, L, C)`.
        qkv_bias: whether projections have a bias.
        norm_cfg: normalisation of the smaller map.
        sr_ratio: how much smaller it is along each axis.
        init_cfg: how to initialise.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        attn_drop: float = 0.0,
        proj_drop: float = 0.0,
        dropout_layer: Cfg | None = None,
        batch_first: bool = True,
        qkv_bias: bool = True,
        norm_cfg: Cfg = _LN,
        sr_ratio: int = 1,
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(
            embed_dims, num_heads, attn_drop, proj_drop, dropout_layer, init_cfg, batch_first, bias=qkv_bias
        )
        self.sr_ratio = sr_ratio
        if sr_ratio > 1:
            self.sr = nn.Conv2d(embed_dims, embed_dims, sr_ratio, stride=sr_ratio)
            self.norm = build_norm_layer(norm_cfg, embed_dims)[1]

    def forward(self, x: Tensor, hw_shape: Size, identity: Tensor | None = None) -> Tensor:  # type: ignore[override]
        """Map `(N, H * W, C)` to the same shape; `identity` is added, `x` when None."""
        key = x
        if self.sr_ratio > 1:
            key = self.norm(nchw_to_nlc(self.sr(nlc_to_nchw(x, hw_shape))))
        return super().forward(x, key, identity=identity)


class PVTEncoderLayer(BaseModule):
    """Attention and feed-forward network, each after a normalisation.

    Args:
        embed_dims: channels.
        num_heads: number of heads.
        feedforward_channels: channels in the feed-forward network.
        drop_rate: dropout of outputs.
        attn_drop_rate: dropout of attention weights.
        drop_path_rate: probability of dropping a branch of a sample.
        qkv_bias: whether projections of the attention have a bias.
        act_cfg: activation.
        norm_cfg: normalisation.
        sr_ratio: see `SpatialReductionAttention`.
        use_conv_ffn: whether the feed-forward network has a depthwise convolution.
        init_cfg: how to initialise.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        feedforward_channels: int,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        qkv_bias: bool = True,
        act_cfg: Cfg = _GELU,
        norm_cfg: Cfg = _LN,
        sr_ratio: int = 1,
        use_conv_ffn: bool = False,
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(init_cfg)
        drop_path = {"type": "DropPath", "drop_prob": drop_path_rate}
        self.norm1 = build_norm_layer(norm_cfg, embed_dims)[1]
        self.attn = SpatialReductionAttention(
            embed_dims,
            num_heads,
            attn_drop_rate,
            drop_rate,
            drop_path,
            qkv_bias=qkv_bias,
            norm_cfg=norm_cfg,
            sr_ratio=sr_ratio,
        )
        self.norm2 = build_norm_layer(norm_cfg, embed_dims)[1]
        self.ffn = MixFFN(embed_dims, feedforward_channels, act_cfg, drop_rate, drop_path, use_conv_ffn)

    def forward(self, x: Tensor, hw_shape: Size) -> Tensor:
        """Map `(N, H * W, C)` to the same shape."""
        x = self.attn(self.norm1(x), hw_shape, identity=x)
        out: Tensor = self.ffn(self.norm2(x), hw_shape, identity=x)
        return out


class AbsolutePositionEmbedding(BaseModule):
    """A learned embedding of positions, resized to the map; weights of another size are interpolated when loaded.

    Args:
        pos_shape: height and width of the learned grid.
        pos_dim: channels.
        drop_rate: dropout of the sum.
        init_cfg: how to initialise.
    """

    def __init__(self, pos_shape: int | Size, pos_dim: int, drop_rate: float = 0.0, init_cfg: InitCfg = None) -> None:
        super().__init__(init_cfg)
        self.pos_shape = (pos_shape, pos_shape) if isinstance(pos_shape, int) else (pos_shape[0], pos_shape[1])
        self.pos_embed = nn.Parameter(torch.zeros(1, self.pos_shape[0] * self.pos_shape[1], pos_dim))
        self.drop = nn.Dropout(drop_rate)
        fit_when_loading(self)

    def init_weights(self) -> None:
        """Draw from a narrow normal distribution."""
        nn.init.trunc_normal_(self.pos_embed, std=0.02)

    def fit_weights(self, weights: dict[str, Tensor], prefix: str) -> None:
        """Leave the class token out, interpolate the rest."""
        positions = weights.get(f"{prefix}pos_embed")
        if positions is None or positions.shape == self.pos_embed.shape:
            return
        length = math.isqrt(positions.shape[1]) ** 2
        grid = positions[0, positions.shape[1] - length :]
        if length != self.pos_embed.shape[1]:
            grid = resize_grid(grid, self.pos_shape, mode="bilinear")
        weights[f"{prefix}pos_embed"] = grid[None]

    def forward(self, x: Tensor, hw_shape: Size) -> Tensor:
        """Add positions to `(N, H * W, C)`."""
        positions: Tensor = self.pos_embed
        if hw_shape != self.pos_shape:
            grid = nlc_to_nchw(positions, self.pos_shape)
            positions = F.interpolate(grid, size=hw_shape, mode="bilinear").flatten(2).transpose(1, 2)
        out: Tensor = self.drop(x + positions)
        return out
