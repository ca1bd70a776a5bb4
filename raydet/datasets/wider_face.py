"""WIDER FACE (arXiv:1511.06523) with annotations in the XML form of PASCAL VOC."""

from __future__ import annotations

import os.path as osp
from collections.abc import Sequence
from typing import Any, ClassVar
from xml.etree.ElementTree import Element

from raydet.datasets.class_names import names_of, palette_of
from raydet.datasets.xml_style import XMLDataset


class WIDERFaceDataset(XMLDataset):
    """WIDER FACE; each XML file names the folder of its image."""

    CLASSES: Sequence[str] | None = names_of("wider_face")
    PALETTE: ClassVar[Any] = palette_of("wider_face")

    def _image_name(self, image_id: str, root: Element) -> str:
        return osp.join(root.findtext("folder", ""), f"{image_id}.jpg")
