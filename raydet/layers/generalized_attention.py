"""Attention of pixels by content and place."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raydet.layers.init_functions import caffe2_xavier_init

_WAVE_LENGTH = 1000.0
_LARGEST_MAP = {256: 84, 512: 42}  # side of the map by its channels, for a limited range


class GeneralizedAttention(nn.Module):
    """Attention whose score is a sum of up to four terms (arXiv:1904.05873).

    The terms, switched on by the digits of `attention_type`: query and key content, query content and relative
    position, key content alone, relative position alone.

    Args:
        in_channels: channels of input and output.
        spatial_range: how many pixels away keys may lie, for 256 or 512 channels; everywhere when negative.
        num_heads: number of heads.
        position_embedding_dim: channels of the encoding of positions; `in_channels` when not positive.
        position_magnitude: factor of the offsets.
        kv_stride: every so many pixels are keys.
        q_stride: every so many pixels are queries.
        attention_type: four digits, 0 or 1.
    """

    _abbr_ = "gen_attention_block"

    def __init__(
        self,
        in_channels: int,
        spatial_range: int = -1,
        num_heads: int = 9,
        position_embedding_dim: int = -1,
        position_magnitude: int = 1,
        kv_stride: int = 2,
        q_stride: int = 1,
        attention_type: str = "1111",
    ) -> None:
        super().__init__()
        if len(attention_type) != 4 or set(attention_type) - {"0", "1"}:
            raise ValueError(f"attention_type must be four digits, 0 or 1, got {attention_type!r}")
        self.position_embedding_dim = position_embedding_dim if position_embedding_dim > 0 else in_channels
        self.position_magnitude = position_magnitude
        self.num_heads = num_heads
        self.spatial_range = spatial_range
        self.kv_stride = kv_stride
        self.q_stride = q_stride
        self.attention_type = tuple(digit == "1" for digit in attention_type)
        self.head_dim = in_channels // num_heads
        width = self.head_dim * num_heads
        query_key, query_place, key_alone, place_alone = self.attention_type
        if query_key or query_place:
            self.query_conv = nn.Conv2d(in_channels, width, 1, bias=False)
        if query_key or key_alone:
            self.key_conv = nn.Conv2d(in_channels, width, 1, bias=False)
        self.value_conv = nn.Conv2d(in_channels, width, 1, bias=False)
        if query_place or place_alone:
            self.appr_geom_fc_x = nn.Linear(self.position_embedding_dim // 2, width, bias=False)
            self.appr_geom_fc_y = nn.Linear(self.position_embedding_dim // 2, width, bias=False)
        bound = 1 / math.sqrt(self.head_dim * 2)
        if key_alone:
            self.appr_bias = nn.Parameter(torch.empty(width).uniform_(-bound, bound))
        if place_alone:
            self.geom_bias = nn.Parameter(torch.empty(width).uniform_(-bound, bound))
        self.proj_conv = nn.Conv2d(width, in_channels, 1)
        self.gamma = nn.Parameter(torch.zeros(1))
        if spatial_range >= 0:
            self.local_constraint_map = nn.Parameter(self._out_of_range(in_channels), requires_grad=False)
        self.init_weights()

    def init_weights(self) -> None:
        """Uniform draws by the number of inputs."""
        for name, module in self.named_children():
            if name != "proj_conv":
                caffe2_xavier_init(module)

    def _out_of_range(self, in_channels: int) -> Tensor:
        """1 for keys that are too far away, `(H, W, h, w)`."""
        if in_channels not in _LARGEST_MAP:
            raise ValueError(f"spatial_range needs in_channels in {sorted(_LARGEST_MAP)}, got {in_channels!r}")
        side = _LARGEST_MAP[in_channels]
        query, key = torch.arange(side)[:, None], torch.arange((side - 1) // self.kv_stride + 1)
        first = (query - self.spatial_range).div(self.kv_stride, rounding_mode="floor")
        last = (query + self.spatial_range + 1) // self.kv_stride
        near = (key >= first) & (key <= last)
        return (~(near[:, None, :, None] & near[None, :, None, :])).byte()

    def _heads(self, x: Tensor) -> Tensor:
        """Map `(N, heads * D, H, W)` to `(N, heads, H * W, D)`."""
        return x.reshape(len(x), self.num_heads, self.head_dim, -1).transpose(2, 3)

    def _places(self, layer: nn.Module, num_queries: int, num_keys: int, like: Tensor) -> Tensor:
        """Encode offsets along one axis, `(heads, queries, keys, D)`."""
        rows = torch.arange(num_queries, device=like.device) * self.q_stride
        columns = torch.arange(num_keys, device=like.device) * self.kv_stride
        offsets = (rows[:, None] - columns).to(like.dtype) * self.position_magnitude
        dims = torch.arange(0, self.position_embedding_dim / 4, device=like.device, dtype=like.dtype)
        angles = offsets[..., None] / _WAVE_LENGTH ** (4 / self.position_embedding_dim * dims)
        encoded: Tensor = layer(torch.cat([angles.sin(), angles.cos()], dim=-1)) / math.sqrt(2)
        return encoded.view(num_queries, num_keys, self.num_heads, self.head_dim).permute(2, 0, 1, 3)

    def _sought(self, query: Tensor | None, by_query: bool, bias: Tensor | None) -> Tensor | None:
        """What keys or places are compared with: the query, a vector that is the same everywhere, or their sum."""
        everywhere = None if bias is None else bias.view(1, self.num_heads, 1, self.head_dim)
        if not by_query or query is None:
            return everywhere
        return query if everywhere is None else query + everywhere

    def _scores(self, x_q: Tensor, x_kv: Tensor) -> Tensor:
        """Scores `(N, heads, queries, keys)`; a single query stands for all where all are the same."""
        query_key, query_place, key_alone, place_alone = self.attention_type
        height, width = x_q.shape[2:]
        query = self._heads(self.query_conv(x_q)) if query_key or query_place else None
        scores = x_q.new_zeros(())
        content = self._sought(query, query_key, self.appr_bias if key_alone else None)
        if content is not None:
            scores = scores + content @ self._heads(self.key_conv(x_kv)).transpose(2, 3)
        place = self._sought(query, query_place, self.geom_bias if place_alone else None)
        if place is not None:
            place = place.expand(-1, -1, height * width, -1)
            place = place.reshape(len(place), self.num_heads, height, width, self.head_dim)
            along_x = torch.einsum(
                "nayxd,axkd->nayxk", place, self._places(self.appr_geom_fc_x, width, x_kv.shape[3], x_q)
            )
            along_y = torch.einsum(
                "nayxd,aykd->nayxk", place, self._places(self.appr_geom_fc_y, height, x_kv.shape[2], x_q)
            )
            scores = scores + (along_y[..., None] + along_x[..., None, :]).flatten(4).flatten(2, 3)
        return scores

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C, H, W)` to the same shape."""
        x_q, x_kv = x[:, :, :: self.q_stride, :: self.q_stride], x[:, :, :: self.kv_stride, :: self.kv_stride]
        scores = self._scores(x_q, x_kv)
        size = x_q.shape[2:]
        if self.spatial_range >= 0:
            far = self.local_constraint_map[: size[0], : size[1], : x_kv.shape[2], : x_kv.shape[3]]
            scores = scores.masked_fill(far.bool().flatten(2).flatten(0, 1), float("-inf"))
        out = scores.softmax(dim=-1) @ self._heads(self.value_conv(x_kv))  # (N, heads, queries, D)
        out = out.transpose(2, 3).flatten(1, 2)
        out = self.proj_conv(out.view(len(x), -1, *(size if out.shape[-1] > 1 else (1, 1))))
        if self.q_stride > 1:
            out = F.interpolate(out, size=x.shape[2:], mode="bilinear", align_corners=False)
        return self.gamma * out + x
