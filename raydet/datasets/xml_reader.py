"""Annotation files of PASCAL VOC: one XML file per image."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

from raydet.transforms.files import FileClientArgs, read_bytes

_CORNERS = ("xmin", "ymin", "xmax", "ymax")


def read_xml(path: str, file_client_args: FileClientArgs | None = None) -> ElementTree.Element:
    """The root of an XML file.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is not XML.
    """
    try:
        return ElementTree.fromstring(read_bytes(path, file_client_args))
    except ElementTree.ParseError as error:
        raise ValueError(f"{path} is broken XML: {error}; correct the file or take its image off the list") from None


def size_in(root: ElementTree.Element) -> tuple[int, int] | None:
    """Width and height of the image, if the file says them."""
    size = root.find("size")
    if size is None:
        return None
    return int(size.findtext("width", "0")), int(size.findtext("height", "0"))


def objects_in(root: ElementTree.Element, path: str) -> list[list[Any]]:
    """Name, difficult (0 or 1), and xmin, ymin, xmax, ymax in the file's pixels, counted from 1, of each object.

    Raises:
        ValueError: an object lacks its name or box; names `path`.
    """
    found = []
    for number, each in enumerate(root.findall("object")):
        try:
            corners = [int(float(each.findtext(f"bndbox/{corner}", ""))) for corner in _CORNERS]
            found.append([_name(each), int(each.findtext("difficult", "0")), *corners])
        except ValueError as error:
            raise ValueError(f"{path}: object number {number} needs a name, and numbers in bndbox: {error}") from None
    return found


def _name(node: ElementTree.Element) -> str:
    name = node.findtext("name")
    if name is None:
        raise ValueError("it has no name")
    return name
