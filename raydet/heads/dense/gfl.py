"""GFL: classes that carry the quality of their box, and boxes as distributions."""

from __future__ import annotations

from raydet.heads.dense.base import DenseHead
from raydet.heads.dense.distribution import DistributionBoxes


class GFLHead(DistributionBoxes, DenseHead):
    """Class scores that are the IoU of their box, and distances to sides as distributions (arXiv:2006.04388)."""
