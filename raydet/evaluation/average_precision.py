"""The area under precision over recall."""

from __future__ import annotations

from typing import Any

import numpy as np


def average_precision(recalls: np.ndarray, precisions: np.ndarray, mode: str = "area") -> Any:
    """Average precision, of one curve or of one curve per scale.

    Args:
        recalls: `(D,)` or `(S, D)`, ascending along D.
        precisions: of the same shape.
        mode: "area" under the monotone envelope, or "11points" as in PASCAL VOC 2007.

    Returns:
        A float32, or `(S,)` float32.

    Raises:
        ValueError: unknown mode.
    """
    if mode not in ("area", "11points"):
        raise ValueError(f'mode must be "area" or "11points", got {mode!r}')
    if recalls.shape != precisions.shape:
        raise ValueError(f"recalls {recalls.shape} and precisions {precisions.shape} must have the same shape")
    average = _area if mode == "area" else _eleven_points
    curves = zip(np.atleast_2d(recalls), np.atleast_2d(precisions), strict=True)
    values = np.array([average(recall, precision) for recall, precision in curves], dtype=np.float32)
    return values if recalls.ndim == 2 else values[0]


def _area(recall: np.ndarray, precision: np.ndarray) -> float:
    envelope = np.maximum.accumulate(np.append(precision, 0.0)[::-1])[::-1]
    steps = np.diff(np.concatenate([[0.0], recall, [1.0]]))
    return float((steps * envelope).sum())


def _eleven_points(recall: np.ndarray, precision: np.ndarray) -> float:
    points = np.arange(0, 1 + 1e-3, 0.1)
    return float(sum(precision[recall >= point].max(initial=0.0) for point in points) / 11)
