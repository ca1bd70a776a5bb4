"""Attention and feed-forward networks of transformers, as 2.x wraps them."""

from __future__ import annotations

import warnings
from typing import Any

from torch import Tensor, nn

from raydet.layers.base_module import BaseModule, Sequential
from raydet.layers.factory import Cfg, build_activation_layer, build_dropout
from raydet.layers.initializers import InitCfg

_NO_DROPOUT: Cfg = {"type": "Dropout", "drop_prob": 0.0}
_RELU: Cfg = {"type": "ReLU", "inplace": True}


class MultiheadAttention(BaseModule):
    """`identity + dropout(attention(query, key, value))` with position encodings (arXiv:1706.03762).

    Its child is `attn`, torch's layer.

    Args:
        embed_dims: channels.
        num_heads: number of heads.
        attn_drop: dropout of the attention weights.
        proj_drop: dropout of the output.
        dropout_layer: one more dropout of the output, such as `DropPath`.
        init_cfg: how to initialise.
        batch_first: whether sequences are `(N, L, C)` instead of `(L, N, C)`.
        bias: whether projections have a bias.
        dropout: older name, for `attn_drop` and the `drop_prob` of `dropout_layer` at once.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        attn_drop: float = 0.0,
        proj_drop: float = 0.0,
        dropout_layer: Cfg | None = _NO_DROPOUT,
        init_cfg: InitCfg = None,
        batch_first: bool = False,
        bias: bool = True,
        dropout: float | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if dropout is not None:
            attn_drop, dropout_layer = dropout, {**(dropout_layer or _NO_DROPOUT), "drop_prob": dropout}
        self.embed_dims = embed_dims
        self.num_heads = num_heads
        self.batch_first = batch_first
        self.attn = nn.MultiheadAttention(embed_dims, num_heads, attn_drop, bias=bias, batch_first=batch_first)
        self.proj_drop = nn.Dropout(proj_drop)
        self.dropout_layer = build_dropout(dropout_layer) if dropout_layer else nn.Identity()

    def forward(
        self,
        query: Tensor,
        key: Tensor | None = None,
        value: Tensor | None = None,
        identity: Tensor | None = None,
        query_pos: Tensor | None = None,
        key_pos: Tensor | None = None,
        attn_mask: Tensor | None = None,
        key_padding_mask: Tensor | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """Attend.

        Args:
            query: `(L, N, C)`, or `(N, L, C)` with `batch_first`.
            key: `(S, N, C)`; the query when None.
            value: as `key`, which it is when None.
            identity: what the output is added to; the query, without its position, when None.
            query_pos: added to the query.
            key_pos: added to the key; `query_pos` when None and of the same shape.
            attn_mask: `(L, S)` or `(N * num_heads, L, S)`, True where attention is not allowed, or numbers to add.
            key_padding_mask: `(N, S)`, True at keys to ignore.
            kwargs: what other kinds of attention take.

        Returns:
            Of the shape of the query.
        """
        key = query if key is None else key
        value = key if value is None else value
        identity = query if identity is None else identity
        if key_pos is None and query_pos is not None:
            if query_pos.shape == key.shape:
                key_pos = query_pos
            else:
                warnings.warn(f"the key of {type(self).__name__} has no position encoding, but the query has one")
        query = query if query_pos is None else query + query_pos
        key = key if key_pos is None else key + key_pos
        masks = {"attn_mask": attn_mask, "key_padding_mask": key_padding_mask}
        attended = self.attn(query, key, value, **masks, need_weights=False)[0]
        out: Tensor = identity + self.dropout_layer(self.proj_drop(attended))
        return out


class FFN(BaseModule):
    """`identity + dropout(linear(... act(linear(x))))`; its child is `layers`.

    Args:
        embed_dims: channels of input and output.
        feedforward_channels: channels in between.
        num_fcs: number of linear layers, at least 2.
        act_cfg: activation.
        ffn_drop: dropout after every linear layer.
        dropout_layer: one more dropout of the output, such as `DropPath`.
        add_identity: whether to add the input.
        init_cfg: how to initialise.
        dropout: older name of `ffn_drop`.
        add_residual: older name of `add_identity`.
    """

    def __init__(
        self,
        embed_dims: int = 256,
        feedforward_channels: int = 1024,
        num_fcs: int = 2,
        act_cfg: Cfg = _RELU,
        ffn_drop: float = 0.0,
        dropout_layer: Cfg | None = None,
        add_identity: bool = True,
        init_cfg: InitCfg = None,
        dropout: float | None = None,
        add_residual: bool | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if num_fcs < 2:
            raise ValueError(f"num_fcs of an FFN must be at least 2, got {num_fcs!r}")
        ffn_drop = ffn_drop if dropout is None else dropout
        self.embed_dims = embed_dims
        self.feedforward_channels = feedforward_channels
        self.num_fcs = num_fcs
        self.add_identity = add_identity if add_residual is None else add_residual
        self.activate = build_activation_layer(act_cfg)
        widths = [embed_dims, *[feedforward_channels] * (num_fcs - 1)]
        hidden = [
            Sequential(nn.Linear(inputs, feedforward_channels), self.activate, nn.Dropout(ffn_drop))
            for inputs in widths[:-1]
        ]
        self.layers = Sequential(*hidden, nn.Linear(feedforward_channels, embed_dims), nn.Dropout(ffn_drop))
        self.dropout_layer = build_dropout(dropout_layer) if dropout_layer else nn.Identity()

    def forward(self, x: Tensor, identity: Tensor | None = None) -> Tensor:
        """Map `(..., embed_dims)` to the same shape; `identity` is added, `x` when None."""
        out: Tensor = self.dropout_layer(self.layers(x))
        if not self.add_identity:
            return out
        return (x if identity is None else identity) + out
