"""Attention of queries to a few points of several maps, as Deformable DETR has it (arXiv:2010.04159)."""

from __future__ import annotations

import math
import warnings
from typing import Any

import torch
from torch import Tensor, nn

from raydet_ops._checks import check_shape
from raydet_ops.deform_attention import ms_deform_attn


class MultiScaleDeformableAttention(nn.Module):
    """Attention whose points and weights are predicted from the query.

    Args:
        embed_dims: channels; divisible by `num_heads`.
        num_heads: attention heads.
        num_levels: maps.
        num_points: points that a head looks at in each map.
        im2col_step: kept for 2.x configs; images are never split into chunks here.
        dropout: share of the result that is dropped.
        batch_first: whether queries and values are `(N, Q, C)` instead of `(Q, N, C)`.
        norm_cfg: kept for 2.x configs.
        init_cfg: kept for 2.x configs; the initialisation is fixed.

    Raises:
        ValueError: `embed_dims` is not divisible by `num_heads`.
    """

    def __init__(
        self,
        embed_dims: int = 256,
        num_heads: int = 8,
        num_levels: int = 4,
        num_points: int = 4,
        im2col_step: int = 64,
        dropout: float = 0.1,
        batch_first: bool = False,
        norm_cfg: dict[str, Any] | None = None,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if embed_dims % num_heads:
            raise ValueError(f"embed_dims must be divisible by num_heads, got {embed_dims} and {num_heads}")
        if (embed_dims // num_heads).bit_count() != 1:
            warnings.warn(f"heads of {embed_dims // num_heads} channels, no power of two, are slower on a GPU")
        self.norm_cfg = norm_cfg
        self.init_cfg = init_cfg
        self.embed_dims = embed_dims
        self.num_heads = num_heads
        self.num_levels = num_levels
        self.num_points = num_points
        self.im2col_step = im2col_step
        self.batch_first = batch_first
        self.dropout = nn.Dropout(dropout)
        self.sampling_offsets = nn.Linear(embed_dims, num_heads * num_levels * num_points * 2)
        self.attention_weights = nn.Linear(embed_dims, num_heads * num_levels * num_points)
        self.value_proj = nn.Linear(embed_dims, embed_dims)
        self.output_proj = nn.Linear(embed_dims, embed_dims)
        self.init_weights()

    @torch.no_grad()
    def init_weights(self) -> None:
        """Point each head in a direction of its own, its points further and further out; weigh them equally."""
        angles = torch.arange(self.num_heads, dtype=torch.float32) * (2 * math.pi / self.num_heads)
        directions = torch.stack([angles.cos(), angles.sin()], dim=1)
        directions /= directions.abs().amax(1, keepdim=True)
        steps = torch.arange(1, self.num_points + 1, dtype=torch.float32)
        offsets = (directions[:, None] * steps[:, None])[:, None].expand(-1, self.num_levels, -1, -1)
        nn.init.zeros_(self.sampling_offsets.weight)
        self.sampling_offsets.bias.copy_(offsets.flatten())
        nn.init.zeros_(self.attention_weights.weight)
        nn.init.zeros_(self.attention_weights.bias)
        for layer in (self.value_proj, self.output_proj):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(
        self,
        query: Tensor,
        key: Tensor | None = None,
        value: Tensor | None = None,
        identity: Tensor | None = None,
        query_pos: Tensor | None = None,
        key_padding_mask: Tensor | None = None,
        reference_points: Tensor | None = None,
        spatial_shapes: Tensor | None = None,
        level_start_index: Tensor | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """Look around the reference points.

        Args:
            query: `(Q, N, C)`, or `(N, Q, C)` with `batch_first`; so are all sequences here.
            key: not used.
            value: `(S, N, C)` the cells of all maps; the queries where it is None.
            identity: added to the result; the query without its position where it is None.
            query_pos: position, added to the query.
            key_padding_mask: `(N, S)` bool, true where a cell is padding and counts as zero.
            reference_points: `(N, Q, L, 2)` x and y from 0 to 1, or `(N, Q, L, 4)` boxes as centre, width, height.
            spatial_shapes: `(L, 2)` height and width of the maps.
            level_start_index: not used; it follows from `spatial_shapes`.
            kwargs: not used.

        Returns:
            As `query`.

        Raises:
            ValueError: shapes do not go together, or points or shapes are missing.
        """
        if reference_points is None or spatial_shapes is None:
            raise ValueError("MultiScaleDeformableAttention needs reference_points and spatial_shapes")
        identity = query if identity is None else identity
        value = query if value is None else value
        query = query if query_pos is None else query + query_pos
        if not self.batch_first:
            query, value = query.transpose(0, 1), value.transpose(0, 1)
        locations = self._locations(query, reference_points, spatial_shapes)
        weights = self.attention_weights(query).view(*query.shape[:2], self.num_heads, -1).softmax(3)
        weights = weights.view(*weights.shape[:3], self.num_levels, self.num_points)
        output = self.output_proj(
            ms_deform_attn(self._values(value, key_padding_mask), spatial_shapes, locations, weights)
        )
        result: Tensor = self.dropout(output if self.batch_first else output.transpose(0, 1)) + identity
        return result

    def _values(self, value: Tensor, key_padding_mask: Tensor | None) -> Tensor:
        projected: Tensor = self.value_proj(value)
        if key_padding_mask is not None:
            projected = projected.masked_fill(key_padding_mask[..., None], 0.0)
        return projected.view(*projected.shape[:2], self.num_heads, self.embed_dims // self.num_heads)

    def _locations(self, query: Tensor, reference_points: Tensor, spatial_shapes: Tensor) -> Tensor:
        check_shape("reference_points", reference_points, *query.shape[:2], self.num_levels, "2 or 4")
        sizes = (self.num_heads, self.num_levels, self.num_points, 2)
        offsets: Tensor = self.sampling_offsets(query).view(*query.shape[:2], *sizes)
        around = reference_points[:, :, None, :, None]
        if reference_points.shape[3] == 2:
            return around + offsets / spatial_shapes.flip(1)[:, None]
        if reference_points.shape[3] == 4:
            return around[..., :2] + offsets / self.num_points * around[..., 2:] * 0.5
        raise ValueError(f"reference_points must be points of 2 or boxes of 4, got {tuple(reference_points.shape)}")
