"""Encodings of the places of a map."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from raydet.layers.base_module import BaseModule
from raydet.layers.initializers import InitCfg

_UNIFORM: InitCfg = {"type": "Uniform", "layer": "Embedding"}


class SinePositionalEncoding(BaseModule):
    """Sines and cosines of row and column, counted over the pixels that are not masked (arXiv:2005.12872).

    Args:
        num_feats: channels for the row, and as many for the column.
        temperature: ratio of the longest to the shortest wave.
        normalize: scale rows and columns to `(0, scale]`.
        scale: see `normalize`.
        eps: keeps the normalisation finite.
        offset: added to rows and columns before they are normalised.
        init_cfg: how to initialise.
    """

    def __init__(
        self,
        num_feats: int,
        temperature: float = 10000,
        normalize: bool = False,
        scale: float = 2 * math.pi,
        eps: float = 1e-6,
        offset: float = 0.0,
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(init_cfg)
        self.num_feats = num_feats
        self.temperature = temperature
        self.normalize = normalize
        self.scale = scale
        self.eps = eps
        self.offset = offset

    def forward(self, mask: Tensor) -> Tensor:
        """Map a mask `(N, H, W)`, non-zero at pixels to ignore, to `(N, 2 * num_feats, H, W)`."""
        valid = (mask == 0).float()
        rows, columns = valid.cumsum(1), valid.cumsum(2)
        if self.normalize:
            rows = (rows + self.offset) / (rows[:, -1:] + self.eps) * self.scale
            columns = (columns + self.offset) / (columns[:, :, -1:] + self.eps) * self.scale
        return torch.cat([self._waves(rows), self._waves(columns)], dim=3).permute(0, 3, 1, 2)

    def _waves(self, places: Tensor) -> Tensor:
        """Encode `(N, H, W)` as `(N, H, W, num_feats)`: sines at even channels, cosines at odd ones."""
        pairs = torch.arange(self.num_feats, device=places.device).div(2, rounding_mode="floor")
        angles = places[..., None] / self.temperature ** (2 * pairs / self.num_feats)
        return torch.stack([angles[..., 0::2].sin(), angles[..., 1::2].cos()], dim=4).flatten(3)


class LearnedPositionalEncoding(BaseModule):
    """A learned vector for every column (first) and every row.

    Args:
        num_feats: channels for the column, and as many for the row.
        row_num_embed: most rows.
        col_num_embed: most columns.
        init_cfg: how to initialise.
    """

    def __init__(
        self, num_feats: int, row_num_embed: int = 50, col_num_embed: int = 50, init_cfg: InitCfg = _UNIFORM
    ) -> None:
        super().__init__(init_cfg)
        self.row_embed = nn.Embedding(row_num_embed, num_feats)
        self.col_embed = nn.Embedding(col_num_embed, num_feats)

    def forward(self, mask: Tensor) -> Tensor:
        """Map a mask `(N, H, W)` to `(N, 2 * num_feats, H, W)`; only its shape counts."""
        num, height, width = mask.shape
        most = (self.row_embed.num_embeddings, self.col_embed.num_embeddings)
        if height > most[0] or width > most[1]:
            raise ValueError(
                f"a map of {height} x {width} has more than the {most[0]} x {most[1]} places that are learned"
            )
        columns = self.col_embed.weight[:width].expand(height, -1, -1)
        rows = self.row_embed.weight[:height, None].expand(-1, width, -1)
        return torch.cat([columns, rows], dim=-1).permute(2, 0, 1).expand(num, -1, -1, -1)
