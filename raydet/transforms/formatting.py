"""From numpy arrays to tensors, and from the sample dict to what a batch needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from raydet.structures import DataContainer
from raydet.transforms.base import Results, Transform
from raydet.transforms.pad import PAD_VALUES

META_KEYS = (
    "filename",
    "ori_filename",
    "ori_shape",
    "img_shape",
    "pad_shape",
    "scale_factor",
    "flip",
    "flip_direction",
    "img_norm_cfg",
)
DEFAULT_FIELDS: tuple[Mapping[str, Any], ...] = (
    {"key": "img", "stack": True},
    {"key": "gt_bboxes"},
    {"key": "gt_labels"},
)


def to_tensor(data: Any) -> torch.Tensor:
    """A tensor of an array, a sequence or a number (which becomes `(1,)`)."""
    if isinstance(data, torch.Tensor):
        return data
    if isinstance(data, np.ndarray):
        return torch.from_numpy(data if all(s >= 0 for s in data.strides) else data.copy())
    if isinstance(data, Sequence) and not isinstance(data, str):
        return torch.tensor(data)
    if isinstance(data, int):
        return torch.tensor([data], dtype=torch.int64)
    if isinstance(data, float):
        return torch.tensor([data], dtype=torch.float32)
    raise TypeError(f"cannot make a tensor of a {type(data).__name__}")


def image_to_tensor(image: np.ndarray) -> torch.Tensor:
    """`(H, W)` or `(H, W, C)` to `(C, H, W)`.

    A uint8 image stays in its memory layout: collation copies it once, and the device takes it from there.
    """
    tensor = to_tensor(image[..., None] if image.ndim < 3 else image).permute(2, 0, 1)
    return tensor if image.dtype == np.uint8 else tensor.contiguous()


class ToTensor(Transform):
    """Turn the fields `keys` into tensors."""

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys = keys

    def apply(self, results: Results, params: None) -> Results:
        for key in self.keys:
            results[key] = to_tensor(results[key])
        return results


class ImageToTensor(Transform):
    """Turn the images `keys` into tensors `(C, H, W)`."""

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys = keys

    def apply(self, results: Results, params: None) -> Results:
        for key in self.keys:
            results[key] = image_to_tensor(results[key])
        return results


class Transpose(Transform):
    """Reorder the axes of the fields `keys`."""

    def __init__(self, keys: Sequence[str], order: Sequence[int]) -> None:
        self.keys = keys
        self.order = order

    def apply(self, results: Results, params: None) -> Results:
        for key in self.keys:
            results[key] = results[key].transpose(self.order)
        return results


class ToDataContainer(Transform):
    """Wrap fields in a `DataContainer`.

    Args:
        fields: dicts with `key` and the container's arguments.
    """

    def __init__(self, fields: Sequence[Mapping[str, Any]] = DEFAULT_FIELDS) -> None:
        self.fields = fields

    def apply(self, results: Results, params: None) -> Results:
        for field in self.fields:
            arguments = dict(field)
            key = arguments.pop("key")
            results[key] = DataContainer(results[key], **arguments)
        return results


class DefaultFormatBundle(Transform):
    """Make tensors of the usual fields and say how each joins a batch.

    Args:
        img_to_float: uint8 images become float32.
        pad_val: what collation pads "img", "masks" and "seg" with.
    """

    def __init__(self, img_to_float: bool = True, pad_val: Mapping[str, float] = PAD_VALUES) -> None:
        self.img_to_float = img_to_float
        self.pad_val = dict(pad_val)

    def apply(self, results: Results, params: None) -> Results:
        if "img" in results:
            image = results["img"]
            if self.img_to_float and image.dtype == np.uint8:
                image = image.astype(np.float32)
            _add_missing_meta(results, image)
            results["img"] = DataContainer(image_to_tensor(image), stack=True, padding_value=self.pad_val["img"])
        for key in ("proposals", "gt_bboxes", "gt_bboxes_ignore", "gt_labels"):
            if key in results:
                results[key] = DataContainer(to_tensor(results[key]))
        if "gt_masks" in results:
            results["gt_masks"] = DataContainer(results["gt_masks"], padding_value=self.pad_val["masks"], cpu_only=True)
        if "gt_semantic_seg" in results:
            semantic = to_tensor(results["gt_semantic_seg"][None, ...])
            results["gt_semantic_seg"] = DataContainer(semantic, stack=True, padding_value=self.pad_val["seg"])
        return results


def _add_missing_meta(results: Results, image: np.ndarray) -> None:
    channels = 1 if image.ndim < 3 else image.shape[2]
    results.setdefault("pad_shape", image.shape)
    results.setdefault("scale_factor", 1.0)
    zero, one = np.zeros(channels, np.float32), np.ones(channels, np.float32)
    results.setdefault("img_norm_cfg", {"mean": zero, "std": one, "to_rgb": False})


class Collect(Transform):
    """Keep what the model needs: the fields `keys`, and `meta_keys` as `img_metas`."""

    def __init__(self, keys: Sequence[str], meta_keys: Sequence[str] = META_KEYS) -> None:
        self.keys = keys
        self.meta_keys = meta_keys

    def apply(self, results: Results, params: None) -> Results:
        missing = [key for key in (*self.meta_keys, *self.keys) if key not in results]
        if missing:
            raise KeyError(f"Collect: the sample has no {missing}; it has {sorted(results)}")
        metas = {key: results[key] for key in self.meta_keys}
        return {"img_metas": DataContainer(metas, cpu_only=True), **{key: results[key] for key in self.keys}}


class WrapFieldsToLists(Transform):
    """Put every field in a list of one, as test-time augmentation would."""

    def apply(self, results: Results, params: None) -> Results:
        return {key: [value] for key, value in results.items()}
