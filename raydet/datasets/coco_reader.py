"""Reading COCO annotation files, with every complaint that the file deserves.

A file is cut into the JSON texts of its images and annotations first; then the numbers of each annotation go into
columns, and its segmentation stays the text that it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec
import numpy as np

from raydet.datasets.log import say_once
from raydet.datasets.table import CocoTable, PackedRecords, column, narrowed
from raydet.transforms.files import FileClientArgs, read_bytes

Record = Mapping[str, Any]
Number = int | float | bool | None
Part = TypeVar("Part", bound=msgspec.Struct)
_CHUNK = 65536
"""Annotations that are Python objects at a time."""


class _Texts(msgspec.Struct):
    """A file, cut."""

    images: list[msgspec.Raw]
    annotations: list[msgspec.Raw] = []
    categories: list[dict[str, Any]] = []


class _Image(msgspec.Struct, gc=False):
    id: int
    file_name: str
    height: Number
    width: Number


class _Annotation(msgspec.Struct, gc=False):
    id: int
    image_id: int
    category_id: int
    bbox: tuple[Number, Number, Number, Number]
    area: Number | msgspec.UnsetType = msgspec.UNSET
    iscrowd: Number = 0
    ignore: Number = 0
    segmentation: msgspec.Raw = msgspec.Raw(b"")


class Dialect(NamedTuple):
    """What files of a family say in another way than COCO's.

    Attributes:
        image: makes the record of an image one of COCO's.
        categories: does so with the list of categories.
    """

    image: Callable[[Record], Record] | None = None
    categories: Callable[[list[Any]], list[Any]] | None = None

    def content(self, content: Record, path: str) -> dict[str, Any]:
        """The content of a file as COCO's."""
        images, categories = content["images"], content.get("categories", [])
        if self.image is not None:
            images = [_named(path, self.image, each) for each in images]
        return {
            **content,
            "images": images,
            "categories": self.categories(categories) if self.categories else categories,
        }

    def texts(self, texts: _Texts, path: str) -> _Texts:
        """The same for a file that is cut; one record is a Python object at a time."""
        if self.image is not None:
            records = (msgspec.json.decode(text) for text in texts.images)
            texts.images = [msgspec.Raw(msgspec.json.encode(_named(path, self.image, each))) for each in records]
        if self.categories is not None:
            texts.categories = self.categories(texts.categories)
        return texts


_COCO = Dialect()


def _named(path: str, change: Callable[[Record], Record], record: Record) -> Record:
    """The changed record; ValueError that names the file when that is impossible."""
    try:
        return change(record)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


class _Columns(NamedTuple):
    """Annotations in the order of the file."""

    ids: np.ndarray
    images: np.ndarray
    categories: np.ndarray
    boxes: np.ndarray
    areas: np.ndarray
    crowd: np.ndarray
    ignore: np.ndarray


def read_coco(path: str, file_client_args: FileClientArgs | None = None, dialect: Dialect = _COCO) -> CocoTable:
    """Read a COCO annotation file.

    Args:
        path: the file.
        file_client_args: where it lies.
        dialect: how it differs from COCO's own.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is empty, not JSON, not of the COCO layout, or contradicts itself.
    """
    text = read_bytes(path, file_client_args)
    try:
        return _table(dialect.texts(msgspec.json.decode(text, type=_Texts), path), path)
    except msgspec.MsgspecError:
        return make_table(dialect.content(_coco_content(_parse(text, path), path), path), path)


def read_content(path: str, file_client_args: FileClientArgs | None = None, dialect: Dialect = _COCO) -> Any:
    """The dict in a COCO annotation file; ValueError when it is something else."""
    return dialect.content(_coco_content(read_json(path, file_client_args), path), path)


def _coco_content(content: Any, path: str) -> Any:
    if not isinstance(content, dict) or "images" not in content:
        raise ValueError(f"{path} is not a COCO annotation file: the key 'images' is missing")
    return content


def read_json(path: str, file_client_args: FileClientArgs | None = None) -> Any:
    """The content of a JSON file; ValueError that names the file and the place when it is broken."""
    return _parse(read_bytes(path, file_client_args), path)


def _parse(text: bytes, path: str) -> Any:
    if not text.strip():
        raise ValueError(f"{path} is empty, a JSON file with annotations was expected")
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        pass  # NaN, which Python's parser accepts, or broken, which it explains better
    try:
        return json.loads(text)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a JSON file: {error}") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}:{error.lineno}: broken JSON at column {error.colno}: {error.msg}") from None


def make_table(content: Record, path: str) -> CocoTable:
    """Put the lists of a COCO file into columns.

    Args:
        content: `images`, `annotations` (may be missing, as for test sets), `categories`.
        path: for messages.
    """
    lists = {key: content[key] for key in ("images", "annotations", "categories") if key in content}
    try:  # NaN and infinity, which JSON does not know, become null here: they still are numbers that are not there
        return _table(msgspec.json.decode(msgspec.json.encode(lists), type=_Texts), path)
    except msgspec.ValidationError as error:
        raise ValueError(f"{path} is not a COCO annotation file: {error}") from None


def _table(texts: _Texts, path: str) -> CocoTable:
    images = [_decode(_IMAGES, text, number, path) for number, text in enumerate(texts.images)]
    _require(texts.categories, ("id", "name"), "category", path)
    image_ids = narrowed(column((image.id for image in images), np.int64))
    category_ids = column((category["id"] for category in texts.categories), np.int64)
    _unique(image_ids, "image", path)
    _unique(category_ids, "category", path)
    found, masks = _annotations(texts.annotations, path)
    order, position = _by_image(found.images, image_ids, path)
    found = _Columns(*(each[order] for each in found))
    _check_categories(found, category_ids, path)
    table = CocoTable(
        images=PackedRecords.of_json([_with_filename(*each) for each in zip(texts.images, images, strict=True)]),
        image_ids=image_ids,
        sizes=column(([image.width, image.height] for image in images), np.float64, (-1, 2)),
        offsets=narrowed(np.searchsorted(position, np.arange(len(images) + 1))),
        ids=narrowed(found.ids),
        boxes=column(found.boxes, np.float64, (-1, 4)),
        areas=column(found.areas, np.float64),
        categories=narrowed(found.categories),
        crowd=column(found.crowd, bool),
        ignore=column(found.ignore, bool),
        segmentations=PackedRecords.of_json([masks[i] for i in order.tolist()]),
        category_records=tuple(texts.categories),
    )
    _unique(table.ids, "annotation", path)
    _count_unusable(table, path)
    return table


def _with_filename(text: msgspec.Raw, image: _Image) -> bytes:
    """The record of an image with the key that 2.x adds."""
    return b"%b,%b}" % (bytes(text).rstrip()[:-1], msgspec.json.encode({"filename": image.file_name})[1:-1])


def _annotations(texts: Sequence[msgspec.Raw], path: str) -> tuple[_Columns, list[msgspec.Raw]]:
    """Numbers and segmentations of all annotations."""
    chunks = [_columns((), 0)]
    masks: list[msgspec.Raw] = []
    for start in range(0, len(texts), _CHUNK):
        part = enumerate(texts[start : start + _CHUNK], start)
        records = [_decode(_ANNOTATIONS, text, number, path) for number, text in part]
        chunks.append(_columns(records, len(records)))
        masks += [each.segmentation for each in records]
    return _Columns(*map(np.concatenate, zip(*chunks, strict=True))), masks


def _columns(records: Sequence[_Annotation], count: int) -> _Columns:
    boxes = np.array([each.bbox for each in records], np.float64).reshape(count, 4)
    areas = np.array([np.nan if each.area is msgspec.UNSET else each.area for each in records], np.float64)
    given = np.array([each.area is not msgspec.UNSET for each in records], bool)
    return _Columns(
        ids=np.array([each.id for each in records], np.int64),
        images=np.array([each.image_id for each in records], np.int64),
        categories=np.array([each.category_id for each in records], np.int64),
        boxes=boxes,
        areas=np.where(given, areas, boxes[:, 2] * boxes[:, 3]),
        crowd=np.array([bool(each.iscrowd) for each in records], bool),
        ignore=np.array([bool(each.ignore) for each in records], bool),
    )


_IMAGES = msgspec.json.Decoder(_Image, strict=False)
_ANNOTATIONS = msgspec.json.Decoder(_Annotation, strict=False)


def _decode(decoder: msgspec.json.Decoder[Part], text: msgspec.Raw, number: int, path: str) -> Part:
    """One record; ValueError that says what it lacks."""
    try:
        return decoder.decode(text)
    except msgspec.ValidationError as error:
        record = json.loads(bytes(text))
        reason = str(error)
    if decoder.type is _Image:
        _require([record], ("id", "file_name", "height", "width"), "image", path, number)
        raise ValueError(f"{path}: image number {number} (id {record['id']}) cannot be used: {reason}")
    _require([record], ("id", "image_id", "category_id"), "annotation", path, number)
    box = record.get("bbox")
    if not isinstance(box, list) or len(box) != 4:
        raise ValueError(f"{path}: annotation {record['id']} needs bbox = [x, y, width, height], got {box!r}")
    raise ValueError(f"{path}: annotation {record['id']} cannot be used: {reason}")


def _require(records: Sequence[Record], keys: tuple[str, ...], what: str, path: str, start: int = 0) -> None:
    for number, record in enumerate(records, start):
        missing = [key for key in keys if key not in record]
        if missing:
            raise ValueError(f"{path}: {what} number {number} (id {record.get('id')}) lacks {', '.join(missing)}")


def _unique(ids: np.ndarray, what: str, path: str) -> None:
    values, counts = np.unique(ids, return_counts=True)
    twice = values[counts > 1]
    if len(twice):
        raise ValueError(f"{path}: {what} ids are not unique, {len(twice)} occur several times, first {twice[0]}")


def _by_image(wanted: np.ndarray, image_ids: np.ndarray, path: str) -> tuple[np.ndarray, np.ndarray]:
    """Order of annotations of the images `wanted` by the position of their image, and these positions."""
    if not len(image_ids):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    order = np.argsort(image_ids, kind="stable")
    found = order[np.minimum(np.searchsorted(image_ids, wanted, sorter=order), len(order) - 1)]
    known = image_ids[found] == wanted
    if not known.all():
        say_once(f"{path}: {int((~known).sum())} annotations belong to images that are not in the file; left out")
    chosen = np.flatnonzero(known)
    chosen = chosen[np.argsort(found[chosen], kind="stable")]
    return chosen, found[chosen]


def _check_categories(found: _Columns, category_ids: np.ndarray, path: str) -> None:
    unknown = np.flatnonzero(~np.isin(found.categories, category_ids))
    if len(unknown):
        raise ValueError(
            f"{path}: annotation {found.ids[unknown[0]]} has category_id {found.categories[unknown[0]]}, which is not "
            f"among categories ({np.sort(category_ids)[:10].tolist()}); add it there or remove the annotation"
        )


def _count_unusable(table: CocoTable, path: str) -> None:
    finite = np.isfinite(table.boxes).all(axis=1)
    dropped = int((~table.usable() & ~table.ignore).sum())
    if dropped:
        say_once(
            f"{path}: {dropped} of {len(table.ids)} boxes are not used: {int((~finite).sum())} are NaN or infinite, "
            f"the others have no area, are narrower than a pixel or lie outside their image"
        )
