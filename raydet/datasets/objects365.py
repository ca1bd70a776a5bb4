"""Objects365 (ICCV 2019), versions 1 and 2, with annotations in COCO layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, ClassVar

from raydet.datasets.coco import CocoDataset
from raydet.datasets.coco_reader import Dialect


def _by_id(categories: list[Any]) -> list[Any]:
    return sorted(categories, key=lambda each: each["id"])


def _from_patch(image: Mapping[str, Any]) -> Mapping[str, Any]:
    """The record of an image with the last folder and the name as its `file_name`."""
    return {**image, "file_name": str(PurePosixPath(*PurePosixPath(image.get("file_name", "")).parts[-2:]))}


class Objects365V1Dataset(CocoDataset):
    """Objects365 version 1. Its files list the 365 categories in different orders, so labels follow their ids."""

    CLASSES: Sequence[str] | None = None
    PALETTE: ClassVar[Any] = None
    DIALECT = Dialect(categories=_by_id)


class Objects365V2Dataset(CocoDataset):
    """Objects365 version 2. Images lie in one folder per patch, whatever folders the file puts above them."""

    CLASSES: Sequence[str] | None = None
    PALETTE: ClassVar[Any] = None
    DIALECT = Dialect(image=_from_patch)
