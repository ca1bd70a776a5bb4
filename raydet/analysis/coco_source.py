"""Images and annotations to check, of a COCO file as it stands."""

from __future__ import annotations

import json
import os.path as osp
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeGuard

import msgspec
import numpy as np

from raydet.analysis.data_sources import Entry, Object
from raydet.analysis.findings import Finding
from raydet.datasets.coco_reader import read_content
from raydet.transforms.files import read_bytes


class _Texts(msgspec.Struct):
    images: list[msgspec.Raw]
    annotations: list[msgspec.Raw] = []
    categories: list[dict[str, Any]] = []


class _Ids(msgspec.Struct):
    image_id: Any = None
    id: Any = None


class CocoSource:
    """A file of COCO layout, also a panoptic one. Records stay text until their image's turn.

    Args:
        path: annotation file.
        paths: path of each image by its id, where the data set says it.
        img_prefix: folder of the images, for those that `paths` lacks.
        classes: names that the data set uses; None means all.
        file_client_args: where files lie.
    """

    def __init__(
        self,
        path: str,
        paths: Mapping[Any, str],
        img_prefix: str,
        classes: Sequence[str] | None,
        file_client_args: Mapping[str, Any],
    ) -> None:
        self.paths, self.img_prefix, self.file_client_args = paths, img_prefix, file_client_args
        self._images, self._annotations, categories = _read(path, file_client_args)
        self._category_ids = [each.get("id") for each in categories]
        self._names = {each.get("id"): str(each.get("name")) for each in categories}
        self._classes = None if classes is None else set(classes)
        self._image_ids = [_ids(text, "id") for text in self._images]
        self._owners, self._annotation_ids = [], []
        for text in self._annotations:
            image_id, own = _ids(text, "image_id"), _ids(text, "id")
            self._owners.append(image_id)
            self._annotation_ids.append(own)
        self._rows: dict[Any, list[int]] = {}
        for row, owner in enumerate(self._owners):
            self._rows.setdefault(owner, []).append(row)

    def __len__(self) -> int:
        return len(self._images)

    def findings(self) -> Iterator[Finding]:
        """Ids that occur twice, annotations without image."""
        annotation_ids = [each for each in self._annotation_ids if each is not None]  # panoptic ones have none
        for what, ids in (("image", self._image_ids), ("annotation", annotation_ids), ("category", self._category_ids)):
            for value, count in Counter(ids).items():
                if count > 1:
                    yield Finding("duplicate id", f"{count} entries of kind {what} have the id {value}")
        known = set(self._image_ids)
        for owner, own in zip(self._owners, self._annotation_ids, strict=True):
            if owner not in known:
                yield Finding("unknown image", f"annotation {own} has image_id {owner}")

    def entry(self, index: int) -> Entry:
        """One image with its objects."""
        image = json.loads(self._images[index])
        name, image_id = image.get("file_name"), image.get("id")
        path = self.paths.get(image_id) or (None if name is None else osp.join(self.img_prefix, name))
        entry = Entry(path)
        missing = [key for key in ("id", "width", "height") if key not in image] + ([] if path else ["file_name"])
        if missing:
            entry.findings.append(Finding("broken record", f"image {image_id} lacks {', '.join(missing)}", path))
        else:
            entry.size = (image["width"], image["height"])
        for row in self._rows.get(image_id, ()):
            record = json.loads(self._annotations[row])
            for each in record.get("segments_info", (record,)):
                self._enter(each, entry)
        return entry

    def _enter(self, record: Mapping[str, Any], entry: Entry) -> None:
        box = record.get("bbox")
        if not _is_box(box) or "category_id" not in record:
            message = f"annotation {record.get('id')} has bbox {box} and category_id {record.get('category_id')}"
            entry.findings.append(Finding("broken record", message, entry.path))
            return
        x, y, w, h = (np.nan if value is None else float(value) for value in box)
        name = self._names.get(record["category_id"])
        used = name is None or self._classes is None or name in self._classes
        crowd = bool(record.get("iscrowd", False))
        mask = record.get("segmentation")
        entry.objects.append(Object((x, y, x + w, y + h), name, record["category_id"], mask, crowd, used))


def _is_box(box: Any) -> TypeGuard[list[float | None]]:
    return isinstance(box, list) and len(box) == 4 and all(isinstance(each, (int, float, type(None))) for each in box)


def _read(path: str, file_client_args: Mapping[str, Any]) -> tuple[list[bytes], list[bytes], list[dict[str, Any]]]:
    """Texts of images and annotations, and the categories."""
    try:
        texts = msgspec.json.decode(read_bytes(path, file_client_args), type=_Texts)
        return list(map(bytes, texts.images)), list(map(bytes, texts.annotations)), texts.categories
    except msgspec.MsgspecError:  # NaN, which Python's parser accepts
        content = read_content(path, file_client_args)
        parts = [[json.dumps(each).encode() for each in content.get(key, ())] for key in ("images", "annotations")]
        return parts[0], parts[1], content.get("categories", [])


def _ids(text: bytes, key: str) -> Any:
    try:
        return getattr(msgspec.json.decode(text, type=_Ids), key)
    except msgspec.MsgspecError:
        return json.loads(text).get(key)
