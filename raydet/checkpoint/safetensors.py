"""Weights in the safetensors format: a JSON header, then the bytes of the tensors. No code can hide in it.

Format: https://github.com/huggingface/safetensors#format.
"""

from __future__ import annotations

import json
import sys
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from raydet.checkpoint.safe import CheckpointError

SUFFIX = ".safetensors"
_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_MAX_HEADER = 100 * 2**20
_VALUES = "raydet_values"


def save_safetensors(weights: Mapping[str, Tensor], path: str | Path, meta: Mapping[str, Any] | None = None) -> None:
    """Write a state dict; tensors that share memory are written each for itself.

    Args:
        weights: tensors by name.
        path: file to write, replaced when it is complete.
        meta: about the weights; texts, and what JSON can hold. The format knows texts only, so the rest is one of them.

    Raises:
        TypeError: a value is no tensor, or has a type that the format lacks.
    """
    header: dict[str, Any] = {"__metadata__": _texts(meta or {})}
    tensors, end = [], 0
    for name, value in weights.items():
        if not isinstance(value, Tensor) or value.dtype not in _NAMES:
            kind = value.dtype if isinstance(value, Tensor) else type(value).__name__
            raise TypeError(f"safetensors cannot hold {name!r}, a {kind}; expected tensors of {', '.join(_DTYPES)}")
        tensors.append(value.detach().cpu().contiguous())
        size = value.numel() * value.element_size()
        header[name] = {"dtype": _NAMES[value.dtype], "shape": list(value.shape), "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of 8
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.tmp")
    with temporary.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for tensor in tensors:
            file.write(_bytes_of(tensor))
    temporary.replace(target)


def read_safetensors(path: Path, name: str = "the file", map_location: Any = "cpu") -> dict[str, Any]:
    """The weights of a file, as `dict(meta=..., state_dict=...)`.

    Raises:
        CheckpointError: the file is truncated or something else.
    """
    content = bytearray(path.read_bytes())
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > min(len(content) - 8, _MAX_HEADER):
        raise CheckpointError(f"{name} is no safetensors file, or only the beginning of one ({len(content)} bytes)")
    try:
        header = json.loads(content[8 : 8 + length])
        texts = header.pop("__metadata__", {})
        values = json.loads(texts.pop(_VALUES, "{}"))
        meta = {**texts, **values}
        data = torch.frombuffer(content, dtype=torch.uint8)[8 + length :] if len(content) > 8 + length else None
        weights = OrderedDict((key, _tensor(data, entry).to(map_location)) for key, entry in header.items())
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise CheckpointError(f"{name} is not a readable safetensors file ({error}); fetch or copy it again") from error
    return {"meta": meta, "state_dict": weights}


def _texts(meta: Mapping[str, Any]) -> dict[str, str]:
    texts = {key: value for key, value in meta.items() if isinstance(value, str)}
    values = {key: value for key, value in meta.items() if key not in texts}
    return {**texts, **({_VALUES: json.dumps(values)} if values else {})}


def _tensor(data: Tensor | None, entry: Mapping[str, Any]) -> Tensor:
    dtype, shape = _DTYPES[entry["dtype"]], entry["shape"]
    begin, end = entry["data_offsets"]
    size = torch.Size(shape).numel() * dtype.itemsize
    available = 0 if data is None else len(data)
    if not 0 <= begin <= end <= available or end - begin != size:
        raise ValueError(f"bytes {begin} to {end} of {available} cannot be a tensor of shape {shape}")
    if data is None or size == 0:
        return torch.empty(shape, dtype=dtype)
    _check_byte_order()
    return data[begin:end].clone().view(dtype).reshape(shape)


def _bytes_of(tensor: Tensor) -> bytes:
    _check_byte_order()
    return tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""


def _check_byte_order() -> None:
    assert sys.byteorder == "little", "safetensors files are little-endian"
