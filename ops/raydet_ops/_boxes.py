"""Checks of boxes with scores, and results whose length depends on them."""

from __future__ import annotations

from typing import Any

import torch

from raydet_ops._checks import check_floating, check_shape, check_tensors


def check_scored(boxes: Any, scores: Any) -> None:
    """Demand floating tensors on one device: boxes `(R, 4)` with scores `(R,)`.

    Raises:
        TypeError: other types.
        ValueError: other shapes or different devices.
    """
    check_tensors(boxes=boxes, scores=scores)
    check_floating(boxes=boxes, scores=scores)
    check_shape("boxes", boxes, "R", 4)
    if scores.shape != boxes.shape[:1]:
        raise ValueError(
            f"one score per box is needed, got {len(boxes)} boxes and scores of shape {tuple(scores.shape)}"
        )


def check_offset(offset: Any) -> None:
    """Demand 0 or 1.

    Raises:
        ValueError: it is neither.
    """
    if offset not in (0, 1):
        raise ValueError(f"offset must be 0 or 1, got {offset!r}")


def unknown_length() -> torch.SymInt:
    """In a fake kernel: the length of a result that only its values tell."""
    return torch.library.get_ctx().new_dynamic_size()
