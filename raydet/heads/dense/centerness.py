"""How central a point is in its box: the weight and the extra score of heads that predict distances to sides."""

from __future__ import annotations

from torch import Tensor

from raydet.geometry import bbox2distance


def centerness(points: Tensor, boxes: Tensor) -> Tensor:
    """`(P,)` 1 at the center of the box, 0 on its sides: the geometric mean of the ratios of opposite distances.

    Args:
        points: `(P, 2)`.
        boxes: `(P, 4)` xyxy around the points.
    """
    left, top, right, bottom = bbox2distance(points, boxes).unbind(-1)
    across, down = left.minimum(right) / left.maximum(right), top.minimum(bottom) / top.maximum(bottom)
    return (across * down).sqrt()
