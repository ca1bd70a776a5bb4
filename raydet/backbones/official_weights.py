"""Weights of transformers as their authors publish them, under the names of 2.x."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

_SWIN_PARTS = {"mlp.fc1": "ffn.layers.0.0", "mlp.fc2": "ffn.layers.1", "attn": "attn.w_msa"}
_PVT_PARTS = {"attn.proj": "attn.attn.out_proj", "mlp.fc1": "ffn.layers.0", "mlp.dwconv.dwconv": "ffn.layers.1"}


def convert_swin(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of Swin's authors (arXiv:2103.14030), without the classifier and the last normalisation.

    They gather the four neighbours of a merging column by column and keep channels together; 2.x has it the other way.
    """
    converted = {}
    for key, value in weights.items():
        if key.startswith(("head.", "norm.")) or key.endswith("attn_mask"):
            continue
        name = key.replace("patch_embed.proj.", "patch_embed.projection.")
        name = re.sub(r"^layers\.", "stages.", name)
        name = re.sub(r"(\.blocks\.\d+)\.(mlp\.fc[12]|attn)\.", lambda at: f"{at[1]}.{_SWIN_PARTS[at[2]]}.", name)
        if ".downsample." in name:
            value = _channels_first(value)
        converted[name] = value
    return converted


def _channels_first(value: Tensor) -> Tensor:
    """From neighbours, column by column, with their channels to channels with their neighbours, row by row."""
    gathered = value.reshape(*value.shape[:-1], 4, -1)[..., [0, 2, 1, 3], :]
    return gathered.transpose(-2, -1).reshape(value.shape)


def convert_pvt(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of PVT's authors (arXiv:2102.12122, arXiv:2106.13797), without the classifier."""
    has_positions = "pos_embed1" in weights
    has_convolution = any(".dwconv." in key for key in weights)
    converted = {}
    for key, value in weights.items():
        name = _pvt_name(key, has_positions, has_convolution)
        if name is None:
            continue
        if name.endswith(("in_proj_weight", "in_proj_bias")):  # keys and values follow the queries
            value = torch.cat([value, weights[key.replace(".attn.q.", ".attn.kv.")]])
        elif re.search(r"\.ffn\.layers\.\d\.weight$", name) and value.dim() == 2:
            value = value[:, :, None, None]
        converted[name] = value
    return converted


def _pvt_name(key: str, has_positions: bool, has_convolution: bool) -> str | None:
    """The name in 2.x of one of PVT's keys; None for what has none, and for keys and values."""
    stage = re.match(r"(patch_embed|pos_embed|norm|block)(\d)", key)
    if stage is None or ".attn.kv." in key:
        return None
    index, rest = int(stage[2]) - 1, key[stage.end() :]
    if stage[1] == "patch_embed":
        return f"layers.{index}.0{rest.replace('.proj.', '.projection.')}"
    if stage[1] == "pos_embed":
        return f"layers.{index}.1.0.pos_embed"
    if stage[1] == "norm":
        return f"layers.{index}.2{rest}"
    block, part = re.fullmatch(r"\.(\d+)\.(.+)", rest).groups()  # type: ignore[union-attr]
    part = re.sub(r"^attn\.q\.", "attn.attn.in_proj_", part)
    parts = {**_PVT_PARTS, "mlp.fc2": f"ffn.layers.{4 if has_convolution else 3}"}
    for theirs, ours in parts.items():
        part = part.replace(f"{theirs}.", f"{ours}.")
    return f"layers.{index}.1.{int(block) + has_positions}.{part}"


def take_backbone(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Only the weights of the backbone of a detector or classifier."""
    return {key.removeprefix("backbone."): value for key, value in weights.items() if key.startswith("backbone.")}


def convert_below(weights: dict[str, Tensor], prefix: str, convert: Callable[[dict[str, Tensor]], Any]) -> None:
    """Convert, in place, what stands below a prefix."""
    theirs = {key.removeprefix(prefix): weights.pop(key) for key in list(weights) if key.startswith(prefix)}
    weights.update((f"{prefix}{key}", value) for key, value in convert(theirs).items())
