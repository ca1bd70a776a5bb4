"""Layers of transformers, and sequences of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from raydet.layers.base_module import BaseModule, ModuleList
from raydet.layers.factory import Cfg, build_norm_layer
from raydet.layers.initializers import InitCfg
from raydet.registry import LAYERS

_LN: Cfg = {"type": "LN"}
_RELU: Cfg = {"type": "ReLU", "inplace": True}
_FFN: Cfg = {
    "type": "FFN",
    "embed_dims": 256,
    "feedforward_channels": 1024,
    "num_fcs": 2,
    "ffn_drop": 0.0,
    "act_cfg": _RELU,
}
_ATTENTIONS = ("self_attn", "cross_attn")
OPERATIONS = (*_ATTENTIONS, "norm", "ffn")
Cfgs = Cfg | Sequence[Cfg]


class BaseTransformerLayer(BaseModule):
    """Attentions, normalisations and feed-forward networks in any order.

    Children: `attentions`, `ffns`, `norms`, each counted by itself. With a normalisation first, what is added to the
    output of an attention or a network is its input before that normalisation.

    Args:
        attn_cfgs: one dict for each attention, or one for all.
        ffn_cfgs: one dict for each feed-forward network, or one for all.
        operation_order: names out of "self_attn", "cross_attn", "norm" and "ffn".
        norm_cfg: normalisation.
        init_cfg: how to initialise.
        batch_first: whether sequences are `(N, L, C)` instead of `(L, N, C)`.
        feedforward_channels: older name for the one in `ffn_cfgs`.
        ffn_dropout: older name of `ffn_drop` in `ffn_cfgs`.
        ffn_num_fcs: older name of `num_fcs` in `ffn_cfgs`.
        act_cfg: of no effect, accepted from older configs.
    """

    def __init__(
        self,
        attn_cfgs: Cfgs | None = None,
        ffn_cfgs: Cfgs = _FFN,
        operation_order: Sequence[str] | None = None,
        norm_cfg: Cfg = _LN,
        init_cfg: InitCfg = None,
        batch_first: bool = False,
        feedforward_channels: int | None = None,
        ffn_dropout: float | None = None,
        ffn_num_fcs: int | None = None,
        act_cfg: Cfg | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if not operation_order or not set(operation_order) <= set(OPERATIONS):
            raise ValueError(f"operation_order must be a sequence of some of {OPERATIONS}, got {operation_order!r}")
        self.operation_order = tuple(operation_order)
        self.batch_first = batch_first
        self.pre_norm = operation_order[0] == "norm"
        self.num_attn = sum(operation_order.count(name) for name in _ATTENTIONS)
        attentions = _one_each(attn_cfgs, self.num_attn, "attn_cfgs")
        self.attentions = ModuleList([_attention(cfg, batch_first) for cfg in attentions])
        self.embed_dims: int = self.attentions[0].embed_dims  # type: ignore[assignment]
        older = {"feedforward_channels": feedforward_channels, "ffn_drop": ffn_dropout, "num_fcs": ffn_num_fcs}
        given = {name: value for name, value in older.items() if value is not None}
        networks = _one_each(ffn_cfgs, operation_order.count("ffn"), "ffn_cfgs")
        self.ffns = ModuleList([self._network({**cfg, **given}, ffn_cfgs is _FFN) for cfg in networks])
        norms = operation_order.count("norm")
        self.norms = ModuleList([build_norm_layer(norm_cfg, self.embed_dims)[1] for _ in range(norms)])

    def _network(self, cfg: Cfg, by_default: bool) -> nn.Module:
        size = {} if "embed_dims" in cfg and not by_default else {"embed_dims": self.embed_dims}
        network: nn.Module = LAYERS.build({**cfg, **size}, {"type": "FFN"})
        if network.embed_dims != self.embed_dims:
            raise ValueError(f"embed_dims of ffn_cfgs is {network.embed_dims}, that of attn_cfgs {self.embed_dims}")
        return network

    def forward(
        self,
        query: Tensor,
        key: Tensor | None = None,
        value: Tensor | None = None,
        query_pos: Tensor | None = None,
        key_pos: Tensor | None = None,
        attn_masks: Tensor | Sequence[Tensor | None] | None = None,
        query_key_padding_mask: Tensor | None = None,
        key_padding_mask: Tensor | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """Run the operations.

        Args:
            query: `(L, N, C)`, or `(N, L, C)` with `batch_first`.
            key: of cross attentions, `(S, N, C)`.
            value: of cross attentions.
            query_pos: positions of the queries; in self attentions of the keys, too.
            key_pos: positions of the keys.
            attn_masks: one for each attention, or one for all.
            query_key_padding_mask: `(N, L)`, for self attentions.
            key_padding_mask: `(N, S)`, for cross attentions.
            kwargs: what attentions of other kinds take.

        Returns:
            Of the shape of `query`.
        """
        masks = iter(self._masks(attn_masks))
        attentions, ffns, norms = iter(self.attentions), iter(self.ffns), iter(self.norms)
        identity = query
        for operation in self.operation_order:
            if operation == "norm":
                query = next(norms)(query)
                continue
            before = identity if self.pre_norm else None
            if operation == "ffn":
                query = next(ffns)(query, before)
            elif operation == "self_attn":
                places = {"query_pos": query_pos, "key_pos": query_pos, "key_padding_mask": query_key_padding_mask}
                query = next(attentions)(query, query, query, before, attn_mask=next(masks), **places, **kwargs)
            else:
                places = {"query_pos": query_pos, "key_pos": key_pos, "key_padding_mask": key_padding_mask}
                query = next(attentions)(query, key, value, before, attn_mask=next(masks), **places, **kwargs)
            identity = query
        return query

    def _masks(self, masks: Tensor | Sequence[Tensor | None] | None) -> Sequence[Tensor | None]:
        if masks is None or isinstance(masks, Tensor):
            return [masks] * self.num_attn
        if len(masks) != self.num_attn:
            raise ValueError(f"attn_masks needs {self.num_attn} entries, one per attention, got {len(masks)}")
        return masks


def _one_each(cfgs: Cfgs | None, num: int, name: str) -> list[Cfg]:
    """A config for each of `num` parts."""
    listed = [cfgs] * num if isinstance(cfgs, Mapping) else list(cfgs or ())
    if len(listed) != num:
        raise ValueError(f"{name} needs {num} dicts, as operation_order has so many, got {len(listed)}")
    return listed


def _attention(cfg: Cfg, batch_first: bool) -> nn.Module:
    if cfg.get("batch_first", batch_first) != batch_first:
        raise ValueError(f"batch_first of attn_cfgs must be that of the layer, {batch_first}")
    attention: nn.Module = LAYERS.build({**cfg, "batch_first": batch_first})
    return attention


class TransformerLayerSequence(BaseModule):
    """Layers one after the other, as `layers`.

    Args:
        transformerlayers: the dict of all layers, or one for each.
        num_layers: how many.
        init_cfg: how to initialise.
    """

    def __init__(
        self, transformerlayers: Cfgs | None = None, num_layers: int | None = None, init_cfg: InitCfg = None
    ) -> None:
        super().__init__(init_cfg)
        if not transformerlayers or not num_layers:
            raise ValueError(f"{type(self).__name__} needs transformerlayers and num_layers, got {num_layers!r} layers")
        self.num_layers = num_layers
        cfgs = _one_each(transformerlayers, num_layers, "transformerlayers")
        self.layers = ModuleList([LAYERS.build(cfg) for cfg in cfgs])
        first: Any = self.layers[0]
        self.embed_dims: int = first.embed_dims
        self.pre_norm: bool = first.pre_norm

    def forward(self, query: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Hand `query` on from layer to layer; every layer gets the other arguments, see `BaseTransformerLayer`."""
        for layer in self.layers:
            query = layer(query, *args, **kwargs)
        return query
