"""DeepFashion's in-shop clothes (CVPR 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from raydet.datasets.class_names import names_of, palette_of
from raydet.datasets.coco import CocoDataset


class DeepFashionDataset(CocoDataset):
    """Clothes and parts of people, 15 classes, with annotations in COCO layout."""

    CLASSES: Sequence[str] | None = names_of("deepfashion")
    PALETTE: ClassVar[Any] = palette_of("deepfashion")
