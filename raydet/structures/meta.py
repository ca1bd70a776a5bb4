"""What is known of an image besides its pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class ImageMeta:
    """Sizes and history of one image on its way from file to network.

    Shapes are `(height, width[, channels])` in pixels. `scale_factor` is `(w, h, w, h)`, network size over original
    size. Unknown keys of the 2.x dict stay in `extra`.
    """

    img_shape: tuple[int, ...]
    ori_shape: tuple[int, ...] = ()
    pad_shape: tuple[int, ...] = ()
    scale_factor: np.ndarray = field(default_factory=lambda: np.ones(4, dtype=np.float32))
    flip: bool = False
    flip_direction: str | None = None
    filename: str | None = None
    batch_input_shape: tuple[int, int] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, meta: Mapping[str, Any]) -> ImageMeta:
        """Read the 2.x dict `img_metas[i]`; missing sizes default to `img_shape`."""
        names = {f.name for f in fields(cls)} - {"extra"}
        known = {key: value for key, value in meta.items() if key in names}
        shape = known["img_shape"] = tuple(known["img_shape"])
        scale = np.atleast_1d(np.asarray(known.get("scale_factor", 1.0), dtype=np.float32))
        known["scale_factor"] = np.repeat(scale, 4) if scale.size == 1 else scale
        known["ori_shape"] = tuple(known.get("ori_shape") or shape)
        known["pad_shape"] = tuple(known.get("pad_shape") or shape)
        known["flip"] = bool(known.get("flip", False))
        return cls(**known, extra={key: value for key, value in meta.items() if key not in names})
