"""Normalisation on the training device, so that pixels travel as uint8."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from raydet.datasets.log import say_once
from raydet.datasets.multi_image import MultiImageMixDataset
from raydet.datasets.pixels import NORM_SPEC, NormSpec, normalize_images
from raydet.transforms import AutoAugment, Compose, DefaultFormatBundle, MultiScaleFlipAug, Normalize, Pad
from raydet.transforms.base import Results, Transform

_KEEP_UINT8 = (
    "LoadImageFromFile",
    "LoadAnnotations",
    "LoadProposals",
    "LoadPanopticAnnotations",
    "FilterAnnotations",
    "Resize",
    "RandomFlip",
    "RandomCrop",
    "RandomShift",
    "MinIoURandomCrop",
    "CutOut",
    "Expand",
    "RandomAffine",
    "Shear",
    "Translate",
    "Rotate",
    "ColorTransform",
    "BrightnessTransform",
    "ContrastTransform",
    "EqualizeTransform",
    "YOLOXHSVRandomAug",
    "Mosaic",
    "MixUp",
    "CopyPaste",
    "SegRescale",
    "Pad",
)
_INSIDE_POLICIES = tuple(name for name in _KEEP_UINT8 if name != "Pad")
_MAY_FOLLOW = ("Pad", "DefaultFormatBundle", "ImageToTensor", "ToTensor", "Collect", "SegRescale", "WrapFieldsToLists")


class DeferredNormalize(Transform):
    """Stands in a pipeline for `Normalize`: leaves the pixels and enters `img_norm_cfg`."""

    def __init__(self, normalize: Normalize) -> None:
        self.config = normalize.config()

    def apply(self, results: Results, params: None) -> Results:
        image = results["img"]
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != len(self.config["mean"]):
            raise TypeError(
                f"expected a uint8 image with {len(self.config['mean'])} channels to normalise on the device, got "
                f"{image.dtype} of shape {image.shape}; set data.device_normalize=False"
            )
        results["img_norm_cfg"] = self.config
        return results


def plan_normalization(pipeline: Compose) -> tuple[Compose, NormSpec | None]:
    """A pipeline without `Normalize`, and what is to be done instead.

    Args:
        pipeline: left untouched.

    Returns:
        The pipeline itself and None when pixels are not uint8 before `Normalize`, or when more than padding and
        formatting (or a flip of what is not padded) follows it.
    """
    steps: list[Any] = list(pipeline.transforms)
    if steps and isinstance(steps[-1], MultiScaleFlipAug) and not _unsafe(steps[:-1], _KEEP_UINT8):
        inner, spec = plan_normalization(steps[-1].transforms)
        if spec is None:
            return pipeline, None
        augmentation = copy.copy(steps[-1])
        augmentation.transforms = inner
        return Compose([*steps[:-1], augmentation]), spec
    places = [i for i, step in enumerate(steps) if isinstance(step, Normalize)]
    if not places:
        return _plan_floats(pipeline)
    reason = _obstacle(steps, places)
    if reason is not None:
        say_once(f"images are normalised on the CPU and travel as float32: {reason}", logging.INFO)
        return pipeline, None
    return _without(steps, places[0])


def _plan_floats(pipeline: Compose) -> tuple[Compose, NormSpec | None]:
    """The same for a pipeline that makes floats of pixels without normalising them."""
    steps: list[Any] = list(pipeline.transforms)
    bundles = [i for i, step in enumerate(steps) if isinstance(step, DefaultFormatBundle) and step.img_to_float]
    if len(bundles) != 1 or _unsafe(steps[: bundles[0]], _KEEP_UINT8):
        return pipeline, None
    bundle = steps[bundles[0]]
    spec = NormSpec((0.0,) * 3, (1.0,) * 3, False, batch_value=float(bundle.pad_val["img"]), padded_before=True)
    return Compose([*steps[: bundles[0]], _as_uint8(bundle), *steps[bundles[0] + 1 :]]), spec


def _obstacle(steps: Sequence[Any], places: Sequence[int]) -> str | None:
    """Why normalisation cannot wait for the device, or None."""
    if len(places) > 1:
        return "the pipeline normalises more than once"
    if len(steps[places[0]].mean) != 3:
        return "mean and std are not for three channels"
    before, after = steps[: places[0]], steps[places[0] + 1 :]
    padded = [i for i, step in enumerate(after) if isinstance(step, Pad)]
    followers = [
        s for i, s in enumerate(after) if not (type(s).__name__ == "RandomFlip" and i < min(padded, default=99))
    ]
    unsafe = _unsafe(before, _KEEP_UINT8) or _unsafe(followers, _MAY_FOLLOW)
    if unsafe:
        return f"{unsafe} stands in the pipeline"
    if len(padded) > 1 or (padded and any(isinstance(step, Pad) for step in before)):
        return "the pipeline pads more than once"
    if any(isinstance(step, Pad) for step in before) and any(type(s).__name__ == "RandomFlip" for s in after):
        return "images are flipped after padding"
    return None


def _unsafe(steps: Sequence[Any], safe: Sequence[str]) -> str | None:
    """The first step that is not known to be safe."""
    for step in steps:
        name = type(step).__name__
        ours = type(step).__module__.startswith("raydet.")
        if isinstance(step, AutoAugment) and safe is _KEEP_UINT8:
            unsafe = _unsafe([each for policy in step.transforms for each in policy.transforms], _INSIDE_POLICIES)
            if unsafe is not None:
                return unsafe
            continue
        floats = getattr(step, "to_float32", False) or getattr(step, "color_type", "color") not in _EIGHT_BIT_COLOR
        if not ours or name not in safe or floats:
            return name
    return None


_EIGHT_BIT_COLOR = ("color", "color_ignore_orientation")


def _without(steps: Sequence[Any], place: int) -> tuple[Compose, NormSpec]:
    normalize = steps[place]
    pads = [step for step in steps[place + 1 :] if isinstance(step, Pad)]
    bundles = [step for step in steps if isinstance(step, DefaultFormatBundle)]
    value = pads[0].pad_val.get("img", 0) if pads else 0
    spec = NormSpec(
        mean=tuple(normalize.mean.tolist()),
        std=tuple(normalize.std.tolist()),
        to_rgb=bool(normalize.to_rgb),
        pad_value=float(value) if isinstance(value, (int, float)) else tuple(float(each) for each in value),
        batch_value=float(bundles[0].pad_val["img"]) if bundles else 0.0,
        padded_before=any(isinstance(step, Pad) for step in steps[:place]),
    )
    after = [_as_uint8(step) for step in steps[place + 1 :]]
    return Compose([*steps[:place], DeferredNormalize(normalize), *after]), spec


def _as_uint8(step: Any) -> Callable[[Results], Results | None]:
    """The step for images that stay uint8; what it would have padded with is written on the device."""
    if not isinstance(step, (Pad, DefaultFormatBundle)):
        return step  # type: ignore[no-any-return]
    changed = copy.copy(step)
    changed.pad_val = {**changed.pad_val, "img": 0}
    if isinstance(changed, DefaultFormatBundle):
        changed.img_to_float = False
    return changed


def without_normalization(dataset: Any) -> tuple[Any, NormSpec | None]:
    """A data set whose images stay uint8, with what is to be done on the device.

    Args:
        dataset: left untouched; the copy shares its annotations.

    Returns:
        The data set itself and None when some pipeline inside cannot do without its `Normalize`.
    """
    specs: list[NormSpec | None] = []
    changed = _rebuilt(dataset, specs)
    if changed is None or not specs or specs[0] is None or any(spec != specs[0] for spec in specs):
        return dataset, None
    return changed, specs[0]


def _rebuilt(dataset: Any, specs: list[NormSpec | None]) -> Any:
    """A copy of a tree of data sets with changed pipelines; None where its making is unknown."""
    changed = copy.copy(dataset)
    if isinstance(getattr(dataset, "pipeline", None), Compose) and not hasattr(dataset, "dataset"):
        changed.pipeline, spec = plan_normalization(dataset.pipeline)
        specs.append(spec)
    elif type(dataset).__name__ in ("RepeatDataset", "ClassBalancedDataset"):
        changed.dataset = _rebuilt(dataset.dataset, specs)
        return changed if changed.dataset is not None else None
    elif type(dataset).__name__ == "ConcatDataset":
        changed.datasets = [_rebuilt(each, specs) for each in dataset.datasets]
        return changed if all(each is not None for each in changed.datasets) else None
    elif isinstance(dataset, MultiImageMixDataset):
        for loading in _loading_steps(dataset.dataset):
            planned, spec = plan_normalization(Compose([*loading, *dataset.pipeline]))
            changed.pipeline = planned.transforms[len(loading) :]
            specs.append(spec)
    else:
        return None
    return changed


def _loading_steps(dataset: Any) -> list[Sequence[Any]]:
    """The pipelines of the innermost data sets of a tree; `[None]`, which nothing is known of, for what has none."""
    if isinstance(dataset, MultiImageMixDataset):
        return [[None]]
    inner = getattr(dataset, "datasets", None) or ([dataset.dataset] if hasattr(dataset, "dataset") else [])
    if inner:
        return [steps for each in inner for steps in _loading_steps(each)]
    return [getattr(getattr(dataset, "pipeline", None), "transforms", [None])]


def to_device(batch: Mapping[str, Any], device: torch.device | str) -> dict[str, Any]:
    """Bring a batch to the device and normalise its images there.

    Args:
        batch: from `collate`; masks and metadata stay on the CPU.
        device: where the model is.

    Returns:
        The batch with float32 images and without its `NormSpec`.
    """
    moved = {key: _move(value, torch.device(device)) for key, value in batch.items() if key != NORM_SPEC}
    spec = batch.get(NORM_SPEC)
    if spec is None:
        return moved
    if isinstance(moved["img"], list):
        pairs = zip(moved["img"], moved["img_metas"], strict=True)
        moved["img"] = [normalize_images(images, metas, spec) for images, metas in pairs]
    else:
        moved["img"] = normalize_images(moved["img"], moved["img_metas"], spec)
    return moved


def _move(value: Any, device: torch.device) -> Any:
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, (list, tuple)):
        return type(value)(_move(each, device) for each in value)
    return value
