"""Attention within windows of a map (arXiv:2103.14030)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raydet.layers.base_module import BaseModule
from raydet.layers.factory import Cfg, build_dropout
from raydet.layers.initializers import InitCfg
from raydet.layers.patches import Size
from raydet.layers.weight_fitting import fit_when_loading, resize_grid

_DROP_PATH: Cfg = {"type": "DropPath", "drop_prob": 0.0}
_BLOCKED = -100.0  # added to the score of pairs that must not see each other


class WindowMSA(BaseModule):
    """Self-attention of the tokens of a window, with a learned bias for every offset of two tokens.

    Biases for windows of another size are interpolated when weights are loaded.

    Args:
        embed_dims: channels.
        num_heads: number of heads.
        window_size: height and width of a window.
        qkv_bias: whether queries, keys and values have a bias.
        qk_scale: factor of the scores; one over the root of a head's channels when None.
        attn_drop_rate: dropout of the attention weights.
        proj_drop_rate: dropout of the output.
        init_cfg: how to initialise.
    """

    relative_position_index: Tensor

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        window_size: Size,
        qkv_bias: bool = True,
        qk_scale: float | None = None,
        attn_drop_rate: float = 0.0,
        proj_drop_rate: float = 0.0,
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(init_cfg)
        self.embed_dims = embed_dims
        self.window_size = window_size
        self.num_heads = num_heads
        self.scale = qk_scale or (embed_dims // num_heads) ** -0.5
        height, width = window_size
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * height - 1) * (2 * width - 1), num_heads))
        places = ((2 * width - 1) * torch.arange(height)[:, None] + torch.arange(width)).flatten()
        self.register_buffer("relative_position_index", places[:, None] + places.flip(0))
        self.qkv = nn.Linear(embed_dims, embed_dims * 3, bias=qkv_bias)
        self.attn_drop = nn.Dropout(attn_drop_rate)
        self.proj = nn.Linear(embed_dims, embed_dims)
        self.proj_drop = nn.Dropout(proj_drop_rate)
        fit_when_loading(self)

    def init_weights(self) -> None:
        """Draw the biases from a narrow normal distribution."""
        super().init_weights()
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def fit_weights(self, weights: dict[str, Tensor], prefix: str) -> None:
        """Interpolate biases of windows of another size."""
        table = weights.get(f"{prefix}relative_position_bias_table")
        if table is None or table.shape == self.relative_position_bias_table.shape or table.shape[1] != self.num_heads:
            return
        height, width = self.window_size
        size = (2 * height - 1, 2 * width - 1)
        weights[f"{prefix}relative_position_bias_table"] = resize_grid(table, size)
        weights[f"{prefix}relative_position_index"] = self.relative_position_index

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attend within windows.

        Args:
            x: `(N * windows, L, C)`, all windows of an image in a row.
            mask: `(windows, L, L)`, added to the scores.

        Returns:
            `(N * windows, L, C)`.
        """
        windows, length, channels = x.shape
        qkv = self.qkv(x).view(windows, length, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        bias = self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)  # (heads, L, L)
        bias = bias[None] if mask is None else bias + mask[:, None]  # (1 or windows of an image, heads, L, L)
        per_image = bias.shape[0] * self.num_heads
        query, key, value = (each.reshape(-1, per_image, length, channels // self.num_heads) for each in qkv)
        drop = self.attn_drop.p if self.training else 0.0
        out = F.scaled_dot_product_attention(
            query, key, value, bias.reshape(1, per_image, length, length).to(query.dtype), drop, scale=self.scale
        )
        out = out.reshape(windows, self.num_heads, length, -1).transpose(1, 2).reshape(windows, length, channels)
        result: Tensor = self.proj_drop(self.proj(out))
        return result


class ShiftWindowMSA(BaseModule):
    """Cut a map into windows, shifted ones if wanted, attend within them (`w_msa`), and put it together again.

    Args:
        embed_dims: channels.
        num_heads: number of heads.
        window_size: height and width of a window.
        shift_size: how far windows are shifted, less than `window_size`.
        qkv_bias: see `WindowMSA`.
        qk_scale: see `WindowMSA`.
        attn_drop_rate: dropout of the attention weights.
        proj_drop_rate: dropout of the output.
        dropout_layer: one more dropout of the output.
        init_cfg: how to initialise.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        window_size: int,
        shift_size: int = 0,
        qkv_bias: bool = True,
        qk_scale: float | None = None,
        attn_drop_rate: float = 0.0,
        proj_drop_rate: float = 0.0,
        dropout_layer: Cfg = _DROP_PATH,
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(init_cfg)
        if not 0 <= shift_size < window_size:
            raise ValueError(f"shift_size must be within 0 .. {window_size - 1}, got {shift_size!r}")
        self.window_size = window_size
        self.shift_size = shift_size
        self.w_msa = WindowMSA(
            embed_dims, num_heads, (window_size, window_size), qkv_bias, qk_scale, attn_drop_rate, proj_drop_rate
        )
        self.drop = build_dropout(dropout_layer)

    def forward(self, query: Tensor, hw_shape: Size) -> Tensor:
        """Map `(N, H * W, C)` to the same shape."""
        num, length, channels = query.shape
        height, width = hw_shape
        if length != height * width:
            raise ValueError(f"a sequence of {length} tokens is no map of {height} x {width}")
        rows, columns = -height % self.window_size, -width % self.window_size
        x = F.pad(query.view(num, height, width, channels), (0, 0, 0, columns, 0, rows))
        mask = None
        if self.shift_size:
            mask = self._mask(height + rows, width + columns, x)
            x = x.roll((-self.shift_size, -self.shift_size), dims=(1, 2))
        x = self._together(self.w_msa(self._windows(x), mask), height + rows, width + columns)
        if self.shift_size:
            x = x.roll((self.shift_size, self.shift_size), dims=(1, 2))
        out: Tensor = self.drop(x[:, :height, :width].reshape(num, length, channels))
        return out

    def _mask(self, height: int, width: int, like: Tensor) -> Tensor:
        """What to add to the scores of pairs, `(windows, L, L)`: the shift brings together what is far apart."""
        rows, columns = (self._parts(size, like.device) for size in (height, width))
        parts = self._windows((3 * rows[:, None] + columns).view(1, height, width, 1))[..., 0]
        return (parts[:, :, None] != parts[:, None, :]).to(like.dtype) * _BLOCKED

    def _parts(self, size: int, device: torch.device) -> Tensor:
        """Numbers 0 to 2 of the parts of an axis that stay apart."""
        place = torch.arange(size, device=device)
        return (place >= size - self.window_size).long() + (place >= size - self.shift_size).long()

    def _windows(self, x: Tensor) -> Tensor:
        """Cut `(N, H, W, C)` into `(N * windows, L, C)`."""
        num, height, width, channels = x.shape
        side = self.window_size
        x = x.view(num, height // side, side, width // side, side, channels)
        return x.transpose(2, 3).reshape(-1, side * side, channels)

    def _together(self, windows: Tensor, height: int, width: int) -> Tensor:
        """Undo `_windows`."""
        side, channels = self.window_size, windows.shape[-1]
        x = windows.view(-1, height // side, width // side, side, side, channels)
        return x.transpose(2, 3).reshape(-1, height, width, channels)
