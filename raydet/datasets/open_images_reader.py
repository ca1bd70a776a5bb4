"""Files of Open Images (arXiv:1811.00982): boxes, image-level labels, class names and the hierarchy of classes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from raydet.datasets.files import load_lines
from raydet.datasets.table import narrowed
from raydet.transforms.files import FileClientArgs, read_bytes

if TYPE_CHECKING:
    import pyarrow as pa

_NAMES = {"ImageID": "string", "LabelName": "string"}
_CORNERS = ("XMin", "YMin", "XMax", "YMax")
_MARKS = {
    "gt_is_group_ofs": "IsGroupOf",
    "is_occludeds": "IsOccluded",
    "is_truncateds": "IsTruncated",
    "is_depictions": "IsDepiction",
    "is_insides": "IsInside",
}
"""Names of 2.x for the columns of the file."""


@dataclass(frozen=True)
class BoxTable:
    """Boxes of I images in columns; A boxes ordered by image.

    Attributes:
        offsets: `(I + 1,)`; the boxes of image i stand at `offsets[i]:offsets[i + 1]`.
        boxes: `(A, 4)` float32 xyxy as fractions of the image size.
        labels: `(A,)` integers.
        marks: `(A,)` bool by name, such as `gt_is_group_ofs`.
    """

    offsets: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    marks: Mapping[str, np.ndarray]


def read_boxes(
    path: str, label_of: Mapping[str, int], file_client_args: FileClientArgs | None = None
) -> tuple[list[str], BoxTable]:
    """Ids of the images and their boxes from a csv file with one box a line.

    Args:
        path: the file, with a header.
        label_of: label of each class id such as "/m/01g317".
        file_client_args: where it lies.

    Raises:
        ValueError: a column is missing or cannot be read, or a class is not in `label_of`.
    """
    marks = dict.fromkeys(_MARKS.values(), "int8")
    table = _read_csv(path, {**_NAMES, **dict.fromkeys(_CORNERS, "float64"), **marks}, file_client_args)
    images = table["ImageID"].combine_chunks().dictionary_encode()
    position = images.indices.to_numpy()
    order = np.argsort(position, kind="stable")
    boxes = np.stack([table[name].to_numpy() for name in _CORNERS], axis=1)
    return images.dictionary.to_pylist(), BoxTable(
        offsets=narrowed(np.searchsorted(position[order], np.arange(len(images.dictionary) + 1))),
        boxes=boxes[order].astype(np.float32),
        labels=narrowed(_labels(table["LabelName"], label_of, path)[order]),
        marks={key: table[name].to_numpy()[order] == 1 for key, name in _MARKS.items()},
    )


def _read_csv(path: str, kinds: Mapping[str, str], file_client_args: FileClientArgs | None) -> pa.Table:
    """The columns named in `kinds`, with the names of their types."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    types = {name: pa.type_for_alias(kind) for name, kind in kinds.items()}
    options = arrow_csv.ConvertOptions(column_types=types, include_columns=list(kinds))
    try:
        return arrow_csv.read_csv(io.BytesIO(read_bytes(path, file_client_args)), convert_options=options)
    except (pa.ArrowException, KeyError) as error:
        raise ValueError(f"{path}: expected a csv file with the columns {', '.join(kinds)}: {error}") from None


def _labels(names: pa.ChunkedArray, label_of: Mapping[str, int], path: str) -> np.ndarray:
    encoded = names.combine_chunks().dictionary_encode()
    known = encoded.dictionary.to_pylist()
    unknown = [name for name in known if name not in label_of]
    if unknown:
        raise ValueError(f"{path} has {len(unknown)} classes that label_file lacks, such as {unknown[:3]}")
    labels: np.ndarray = np.array([label_of[name] for name in known], np.int64)[encoded.indices.to_numpy()]
    return labels


def read_challenge_boxes(path: str, file_client_args: FileClientArgs | None = None) -> tuple[list[str], BoxTable]:
    """Paths of the images and their boxes from the text file of the challenge.

    It has per image: its path, a line that does not matter, the number of boxes, and for each of them label (from 1),
    x1, y1, x2, y2 and whether it is a group.

    Raises:
        ValueError: the file is not of this form.
    """
    lines = [line for line in load_lines(path, file_client_args) if line.strip()]
    images, rows, at = [], [np.zeros((0, 6))], 0
    try:
        while at < len(lines):
            first = at + 3
            images.append(lines[at].strip())
            at = first + int(lines[at + 2])
            rows.append(np.array([line.split() for line in lines[first:at]], np.float64).reshape(at - first, 6))
    except (ValueError, IndexError) as error:
        raise ValueError(
            f"{path}: the image of line {first - 2} is not of the form of the challenge: {error}"
        ) from None
    values = np.concatenate(rows)
    return images, BoxTable(
        offsets=narrowed(np.cumsum([len(each) for each in rows])),
        boxes=values[:, 1:5].astype(np.float32),
        labels=narrowed(values[:, 0].astype(np.int64) - 1),
        marks={"gt_is_group_ofs": values[:, 5] == 1},
    )


def read_image_labels(
    path: str, label_of: Mapping[str, int], file_client_args: FileClientArgs | None = None
) -> dict[str, np.ndarray]:
    """Labels that people verified for whole images, present or absent, `(n,)` int64 by image id."""
    table = _read_csv(path, _NAMES, file_client_args)
    images = table["ImageID"].combine_chunks().dictionary_encode()
    position = images.indices.to_numpy()
    order = np.argsort(position, kind="stable")
    cuts = np.searchsorted(position[order], np.arange(1, len(images.dictionary)))
    parts = np.split(_labels(table["LabelName"], label_of, path)[order], cuts)
    return dict(zip(images.dictionary.to_pylist(), parts, strict=True))


def read_rows(path: str, file_client_args: FileClientArgs | None = None) -> list[list[str]]:
    """The lines of a csv file without header, such as one of class names."""
    return [row for row in csv.reader(load_lines(path, file_client_args)) if row]


def class_tree(hierarchy: Mapping[str, Any], label_of: Mapping[str, int]) -> np.ndarray:
    """Which classes are a kind of which.

    Args:
        hierarchy: nodes with LabelName and Subcategory, as the file has them; the root and classes without a label are
            passed over.
        label_of: label of each class id.

    Returns:
        `(K, K)` float64, 1 in row k for class k and all classes above it.
    """
    tree = np.eye(len(label_of))

    def descend(nodes: Iterable[Mapping[str, Any]], above: list[int]) -> None:
        for node in nodes:
            own = [label_of[node["LabelName"]]] if node.get("LabelName") in label_of else []
            for label in own:
                tree[label, above] = 1
            descend(node.get("Subcategory", ()), above + own)

    descend(hierarchy.get("Subcategory", ()), [])
    return tree
