"""Encoder and decoder of DETR."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from raydet.layers.factory import Cfg, build_norm_layer
from raydet.layers.transformer_layer import OPERATIONS, BaseTransformerLayer, Cfgs, TransformerLayerSequence

_LN: Cfg = {"type": "LN"}
_RELU: Cfg = {"type": "ReLU", "inplace": True}


class DetrTransformerEncoder(TransformerLayerSequence):
    """Encoder of DETR (arXiv:2005.12872): if layers begin with a normalisation, `post_norm` ends it.

    Args:
        post_norm_cfg: normalisation at the end; None only where layers do not begin with one.
        kwargs: arguments of `TransformerLayerSequence`.
    """

    def __init__(self, post_norm_cfg: Cfg | None = _LN, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.post_norm = None
        if self.pre_norm:
            if post_norm_cfg is None:
                raise ValueError("layers that begin with a normalisation need post_norm_cfg")
            self.post_norm = build_norm_layer(post_norm_cfg, self.embed_dims)[1]

    def forward(self, query: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Encode; arguments as those of the layers."""
        out = super().forward(query, *args, **kwargs)
        return out if self.post_norm is None else self.post_norm(out)


class DetrTransformerDecoder(TransformerLayerSequence):
    """Decoder of DETR (arXiv:2005.12872).

    Args:
        post_norm_cfg: normalisation of what is returned, or None.
        return_intermediate: return the output of every layer.
        kwargs: arguments of `TransformerLayerSequence`.
    """

    def __init__(self, post_norm_cfg: Cfg | None = _LN, return_intermediate: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.return_intermediate = return_intermediate
        self.post_norm = build_norm_layer(post_norm_cfg, self.embed_dims)[1] if post_norm_cfg is not None else None

    def forward(self, query: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Decode; arguments as those of the layers.

        Returns:
            `(layers, L, N, C)` with `return_intermediate`, `(1, L, N, C)` of the last layer without.
        """
        outs = []
        for layer in self.layers:
            query = layer(query, *args, **kwargs)
            outs.append(query)
        chosen = outs if self.return_intermediate else outs[-1:]
        return torch.stack([out if self.post_norm is None else self.post_norm(out) for out in chosen])


class DetrTransformerDecoderLayer(BaseTransformerLayer):
    """Decoder layer of DETR: self-attention, cross-attention, feed-forward network, and three normalisations.

    Args:
        attn_cfgs: see `BaseTransformerLayer`.
        feedforward_channels: channels in the feed-forward network.
        ffn_dropout: dropout in it.
        operation_order: six names, see `BaseTransformerLayer`.
        act_cfg: of no effect, as in 2.x; the activation is that of `ffn_cfgs`.
        norm_cfg: normalisation.
        ffn_num_fcs: linear layers of the feed-forward network.
        kwargs: other arguments of `BaseTransformerLayer`.
    """

    def __init__(
        self,
        attn_cfgs: Cfgs,
        feedforward_channels: int,
        ffn_dropout: float = 0.0,
        operation_order: Sequence[str] | None = None,
        act_cfg: Cfg = _RELU,
        norm_cfg: Cfg = _LN,
        ffn_num_fcs: int = 2,
        **kwargs: Any,
    ) -> None:
        if not operation_order or len(operation_order) != 6 or set(operation_order) != set(OPERATIONS):
            raise ValueError(f"operation_order needs six names, all of {OPERATIONS}, got {operation_order!r}")
        super().__init__(
            attn_cfgs=attn_cfgs,
            operation_order=operation_order,
            norm_cfg=norm_cfg,
            feedforward_channels=feedforward_channels,
            ffn_dropout=ffn_dropout,
            ffn_num_fcs=ffn_num_fcs,
            **kwargs,
        )
