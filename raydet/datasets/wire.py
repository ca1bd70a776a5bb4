"""Batches as flat numpy columns for the object store, and back.

Every column is one-dimensional and numeric. A tensor takes two columns (values and shape), and so does a list of
tensors (values one after another, shapes likewise); masks travel as bits or coordinates, and metadata as JSON.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from raydet.datasets.pixels import NormSpec
from raydet.structures import BitmapMasks, PolygonMasks

Columns = dict[str, np.ndarray]
_LAYOUT = "layout"


def pack(batch: Mapping[str, Any]) -> Columns:
    """Flat numeric columns that hold a batch on the CPU.

    Raises:
        TypeError: the batch holds something that has no place in columns.
    """
    columns: Columns = {}
    layout = {key: _pack(value, key, columns) for key, value in batch.items()}
    columns[_LAYOUT] = _to_json(layout)
    return columns


def unpack(columns: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The batch that `pack` put into `columns`; its tensors share their memory with the columns."""
    layout: dict[str, str] = _from_json(columns[_LAYOUT])
    return {key: _CODECS[kind].unpack(key, columns) for key, kind in layout.items()}


class _Codec(NamedTuple):
    pack: Callable[[Any, str, Columns], None]
    unpack: Callable[[str, Mapping[str, np.ndarray]], Any]


def _pack(value: Any, key: str, columns: Columns) -> str:
    """Enter a value and return its kind."""
    kind = _kind_of(value)
    _CODECS[kind].pack(value, key, columns)
    return kind


def _kind_of(value: Any) -> str:
    if isinstance(value, Tensor):
        return "tensor"
    if not isinstance(value, (list, tuple)) or not value:
        return "json"
    if all(isinstance(each, Tensor) for each in value) and len({(each.dtype, each.dim()) for each in value}) == 1:
        return "tensors" if value[0].dim() < 4 else "list"
    for kind, masks in (("bitmaps", BitmapMasks), ("polygons", PolygonMasks)):
        if all(isinstance(each, masks) for each in value):
            return kind
    nested = any(isinstance(each, (Tensor, list, BitmapMasks, PolygonMasks)) for each in value)
    return "list" if nested else "json"


def _pack_tensor(value: Tensor, key: str, columns: Columns) -> None:
    by_pixel = value.dim() == 4 and not value.is_contiguous()
    columns[key] = (value.permute(0, 2, 3, 1) if by_pixel else value).contiguous().numpy().reshape(-1)
    columns[f"{key}:shape"] = np.array([by_pixel, *value.shape], np.int64)


def _unpack_tensor(key: str, columns: Mapping[str, np.ndarray]) -> Tensor:
    by_pixel, *shape = columns[f"{key}:shape"].tolist()
    flat = _shared(columns[key])
    if by_pixel:
        images, channels, height, width = shape
        return flat.view(images, height, width, channels).permute(0, 3, 1, 2)
    return flat.view(shape)


def _shared(column: np.ndarray) -> Tensor:
    """The column as a tensor; one that must not be written to, such as pixels in the object store, as it is."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(column)


def _pack_tensors(value: Sequence[Tensor], key: str, columns: Columns) -> None:
    columns[key] = torch.cat([each.reshape(-1) for each in value]).numpy()
    shapes = [size for each in value for size in each.shape]
    columns[f"{key}:shape"] = np.array([len(value), *shapes], np.int64)


def _unpack_tensors(key: str, columns: Mapping[str, np.ndarray]) -> list[Tensor]:
    count, *sizes = columns[f"{key}:shape"].tolist()
    shapes = np.array(sizes, np.int64).reshape(count, -1).tolist()
    flat = torch.from_numpy(columns[key])
    parts = torch.split(flat, [int(np.prod(shape)) for shape in shapes])
    return [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]


def _pack_bitmaps(value: Sequence[BitmapMasks], key: str, columns: Columns) -> None:
    pixels = np.concatenate([np.asarray(each.masks, np.uint8).reshape(-1) for each in value])
    columns[key] = np.packbits(pixels)
    sizes = [(len(each), each.height, each.width) for each in value]
    columns[f"{key}:shape"] = np.array(sizes, np.int64).reshape(-1)


def _unpack_bitmaps(key: str, columns: Mapping[str, np.ndarray]) -> list[BitmapMasks]:
    sizes = columns[f"{key}:shape"].reshape(-1, 3)
    counts = sizes.prod(axis=1)
    pixels = np.unpackbits(columns[key], count=int(counts.sum()))
    ends = np.cumsum(counts).tolist()
    parts = [pixels[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    pairs = zip(parts, sizes.tolist(), strict=True)
    return [BitmapMasks(part.reshape(count, height, width), height, width) for part, (count, height, width) in pairs]


def _pack_polygons(value: Sequence[PolygonMasks], key: str, columns: Columns) -> None:
    """Coordinates, the length of each polygon, the polygons of each object, and (objects, height, width) per image."""
    polygons = [polygon for each in value for instance in each.masks for polygon in instance]
    columns[key] = np.concatenate([np.empty(0), *polygons])
    columns[f"{key}:lengths"] = np.array([len(polygon) for polygon in polygons], np.int64)
    columns[f"{key}:polygons"] = np.array([len(instance) for each in value for instance in each.masks], np.int64)
    sizes = [(len(each.masks), each.height, each.width) for each in value]
    columns[f"{key}:shape"] = np.array(sizes, np.int64).reshape(-1)


def _unpack_polygons(key: str, columns: Mapping[str, np.ndarray]) -> list[PolygonMasks]:
    ends = np.cumsum(columns[f"{key}:lengths"]).tolist()
    coordinates = columns[key]
    polygons = iter([coordinates[start:end] for start, end in zip([0, *ends], ends, strict=False)])
    counts = iter(columns[f"{key}:polygons"].tolist())
    masks = []
    for objects, height, width in columns[f"{key}:shape"].reshape(-1, 3).tolist():
        instances = [[next(polygons) for _ in range(next(counts))] for _ in range(objects)]
        masks.append(PolygonMasks(instances, height, width))
    return masks


def _pack_list(value: Sequence[Any], key: str, columns: Columns) -> None:
    kinds = [_pack(each, f"{key}/{i}", columns) for i, each in enumerate(value)]
    columns[key] = _to_json(kinds)


def _unpack_list(key: str, columns: Mapping[str, np.ndarray]) -> list[Any]:
    kinds: list[str] = _from_json(columns[key])
    return [_CODECS[kind].unpack(f"{key}/{i}", columns) for i, kind in enumerate(kinds)]


def _pack_json(value: Any, key: str, columns: Columns) -> None:
    try:
        columns[key] = _to_json(value)
    except TypeError as error:
        raise TypeError(f"the field {key!r} of a batch cannot travel between processes: {error}") from None


def _unpack_json(key: str, columns: Mapping[str, np.ndarray]) -> Any:
    return _from_json(columns[key])


_CODECS: Mapping[str, _Codec] = {
    "tensor": _Codec(_pack_tensor, _unpack_tensor),
    "tensors": _Codec(_pack_tensors, _unpack_tensors),
    "bitmaps": _Codec(_pack_bitmaps, _unpack_bitmaps),
    "polygons": _Codec(_pack_polygons, _unpack_polygons),
    "list": _Codec(_pack_list, _unpack_list),
    "json": _Codec(_pack_json, _unpack_json),
}


def _to_json(value: Any) -> np.ndarray:
    return np.frombuffer(json.dumps(_plain(value), separators=(",", ":")).encode(), np.uint8)


def _from_json(column: np.ndarray) -> Any:
    return json.loads(np.asarray(column, np.uint8).tobytes(), object_hook=_revived)


def _plain(value: Any) -> Any:
    """JSON that remembers tuples, arrays and the like."""
    if isinstance(value, Mapping):
        return {"~map": [[_plain(k), _plain(v)] for k, v in value.items()]}
    if isinstance(value, tuple):
        return {"~tuple": [_plain(each) for each in value]}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, np.ndarray):
        return {"~array": value.ravel().tolist(), "dtype": value.dtype.str, "shape": list(value.shape)}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, NormSpec):
        return {"~norm": _plain(asdict(value))}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"expected numbers, text, arrays and containers of them, got a {type(value).__name__}")


def _revived(value: dict[str, Any]) -> Any:
    if "~map" in value:
        return {key: each for key, each in value["~map"]}
    if "~tuple" in value:
        return tuple(value["~tuple"])
    if "~array" in value:
        return np.array(value["~array"], value["dtype"]).reshape(value["shape"])
    if "~norm" in value:
        return NormSpec(**value["~norm"])
    return value
