"""PASCAL VOC (doi:10.1007/s11263-009-0275-4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from raydet.datasets.class_names import names_of, palette_of
from raydet.datasets.xml_style import XMLDataset


class VOCDataset(XMLDataset):
    """PASCAL VOC 2007 or 2012; which of them, `img_prefix` must say, since 2007 is measured in its own way.

    Attributes:
        year: 2007 or 2012.

    Raises:
        ValueError: `img_prefix` names neither VOC2007 nor VOC2012.
    """

    CLASSES: Sequence[str] | None = names_of("voc")
    PALETTE: ClassVar[Any] = palette_of("voc")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.year = self._year()

    def _year(self) -> int:
        for year in (2007, 2012):
            if f"VOC{year}" in self.img_prefix:
                return year
        raise ValueError(f"img_prefix must have VOC2007 or VOC2012 in it, got {self.img_prefix!r}")
