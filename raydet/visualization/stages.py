"""What each step of a pipeline makes of a sample, as pictures."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from raydet.datasets import drawn_from
from raydet.structures import DataContainer, Masks
from raydet.visualization.draw import Style, draw_objects
from raydet.visualization.objects import Objects
from raydet.visualization.show import read_image

_IGNORED = (128, 128, 128)


@dataclass(frozen=True)
class Stage:
    """A sample after one step.

    Attributes:
        number: of the step, from 1 on, along the whole chain of pipelines.
        name: of the transform.
        pictures: `(H, W, 3)` uint8, blue first; several after test-time augmentation, none before the image is read.
    """

    number: int
    name: str
    pictures: list[np.ndarray]


def draw_stages(dataset: Any, index: int, seed: int = 0, only: int | None = None) -> list[Stage]:
    """Run the pipeline of one sample and draw it after each step.

    Args:
        dataset: a data set, or one made of others; of samples that are mixed, the one at `index` is shown.
        index: of the sample.
        seed: of the random draws.
        only: number of the one step to draw; -1 for the last one.

    Returns:
        The steps that were run, in order.

    Raises:
        ValueError: there is no step `only`.
    """
    record = _Record(dataset.CLASSES or (), getattr(dataset, "PALETTE", None))
    with record.of(dataset) as steps, drawn_from(seed):
        if only is not None and not (only == -1 or 1 <= only <= steps):
            raise ValueError(f"the pipeline has the steps 1 to {steps}, and -1 for the last one; got {only}")
        record.only = steps if only == -1 else only
        dataset[index]
    return [record.stages[number] for number in sorted(record.stages)]


@dataclass
class _Record:
    """What has been drawn of the sample that is being made."""

    classes: Sequence[str]
    palette: Any
    only: int | None = None
    stages: dict[int, Stage] = field(default_factory=dict)
    undo: list[tuple[Any, str, Any]] = field(default_factory=list)

    @contextlib.contextmanager
    def of(self, dataset: Any) -> Iterator[int]:
        """Inside, the transforms of a data set are observed; gives the number of steps that a sample goes through."""
        try:
            yield self.watch(dataset)
        finally:
            for owner, name, transforms in self.undo:
                setattr(owner, name, transforms)

    def watch(self, dataset: Any) -> int:
        """Put an observer around every transform of a tree of data sets, and count the steps of a sample."""
        if hasattr(dataset, "datasets"):
            return max(self.watch(each) for each in dataset.datasets)
        start = self.watch(dataset.dataset) if hasattr(dataset, "dataset") else 0
        pipeline = getattr(dataset, "pipeline", None)
        if pipeline is None:
            return start
        owner, name = (dataset, "pipeline") if isinstance(pipeline, list) else (pipeline, "transforms")
        transforms = getattr(owner, name)
        end = start + len(transforms)
        self.undo.append((owner, name, transforms))
        setattr(owner, name, [_Observer(each, i, end, self) for i, each in enumerate(transforms, start + 1)])
        return end

    def enter(self, number: int, name: str, sample: Mapping[str, Any]) -> None:
        """Draw the sample after a step, the first time that it is taken: later ones are of samples to mix in."""
        if number not in self.stages and self.only in (None, number):
            self.stages[number] = Stage(number, name, pictures_of(sample, self.classes, self.palette))

    def forget(self, last: int) -> None:
        """The sample was given up, another one is made in its place."""
        if last not in self.stages:
            self.stages.clear()


class _Observer:
    """A transform that shows what it did."""

    def __init__(self, transform: Any, number: int, last: int, record: _Record) -> None:
        self._transform, self._number, self._last, self._record = transform, number, last, record

    def __call__(self, sample: Any) -> Any:
        changed = self._transform(sample)
        if changed is None:
            self._record.forget(self._last)
        else:
            self._record.enter(self._number, type(self._transform).__name__, changed)
        return changed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transform, name)


def pictures_of(sample: Mapping[str, Any], classes: Sequence[str], palette: Any = None) -> list[np.ndarray]:
    """Draw a sample at any point of its pipeline: normalised or not, as arrays or as tensors in containers."""
    fields = {key: _bare(value) for key, value in sample.items()}
    if isinstance(fields.get("img"), list):
        versions = range(len(fields["img"]))
        return [picture for i in versions for picture in pictures_of(_version(fields, i), classes, palette)]
    fields = {**(fields.get("img_metas") or {}), **fields}
    if fields.get("img") is None:
        return []
    image = _pixels(fields["img"], fields.get("img_norm_cfg"))
    ignored = _array(fields.get("gt_bboxes_ignore"), (-1, 4))
    image = draw_objects(image, Objects(ignored, np.full(len(ignored), -1)), style=Style(box_color=_IGNORED))
    return [draw_objects(image, _objects(fields, image.shape[:2]), classes, Style(palette=palette))]


def _version(fields: Mapping[str, Any], i: int) -> dict[str, Any]:
    return {key: value[i] for key, value in fields.items() if isinstance(value, list)}


def _bare(value: Any) -> Any:
    return value.data if isinstance(value, DataContainer) else value


def _array(value: Any, shape: tuple[int, ...]) -> np.ndarray:
    values = np.zeros(0) if value is None else np.asarray(value)
    return values.reshape(shape)


def _pixels(image: Any, norm_cfg: Mapping[str, Any] | None) -> np.ndarray:
    """An image of a sample as uint8, blue first."""
    pixels = image.permute(1, 2, 0).numpy() if isinstance(image, torch.Tensor) else image
    if pixels.dtype != np.uint8:
        if norm_cfg is not None:
            pixels = pixels * norm_cfg["std"] + norm_cfg["mean"]
            pixels = pixels[..., ::-1] if norm_cfg["to_rgb"] else pixels
        pixels = np.clip(pixels, 0, 255).round().astype(np.uint8)
    if pixels.ndim == 3 and pixels.shape[2] not in (1, 3):
        pixels = pixels[..., :3] if pixels.shape[2] > 3 else pixels[..., :1]
    return read_image(np.ascontiguousarray(pixels))


def _objects(fields: Mapping[str, Any], shape: tuple[int, ...]) -> Objects:
    boxes = _array(fields.get("gt_bboxes"), (-1, 4))
    labels = _array(fields.get("gt_labels"), (-1,))
    labels = labels if len(labels) == len(boxes) else np.full(len(boxes), -1)
    return Objects(boxes, labels, masks=_masks(fields.get("gt_masks"), len(boxes), shape))


def _masks(masks: Any, count: int, shape: tuple[int, ...]) -> list[np.ndarray] | None:
    """The masks, where they belong to the boxes one by one and fit the image."""
    if not isinstance(masks, Masks) or len(masks) != count or (masks.height, masks.width) != tuple(shape):
        return None
    return list(masks.to_ndarray().astype(bool))


def stage_files(stage: Stage, prefix: str) -> Iterator[tuple[str, np.ndarray]]:
    """File name and picture for each picture of a step."""
    for i, picture in enumerate(stage.pictures, 1):
        version = f"_{i}" if len(stage.pictures) > 1 else ""
        yield f"{prefix}_{stage.number:02d}_{stage.name}{version}.png", picture
