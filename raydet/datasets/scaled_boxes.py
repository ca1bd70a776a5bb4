"""The boxes of a data set in pixels of the network's input, without opening an image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from raydet.datasets.builder import build_dataset, split_section

Boxes = NDArray[np.float64]


@dataclass(frozen=True)
class InputSize:
    """How images come to the size of the network's input.

    Args:
        width: in pixels.
        height: in pixels.
        mode: "inside" keeps the shape of an image and makes it fit into width and height, "edges" keeps it and takes
            the larger of both for the long edge and the smaller for the short one, as `Resize` does; "exact" does not.
    """

    width: float
    height: float
    mode: Literal["inside", "edges", "exact"] = "inside"

    def factors(self, width: float, height: float) -> tuple[float, float]:
        """Of the width and height of an image."""
        if self.mode == "exact":
            return self.width / width, self.height / height
        sides = (self.width, width), (self.height, height)
        if self.mode == "edges":
            sides = (
                (max(self.width, self.height), max(width, height)),
                (min(self.width, self.height), min(width, height)),
            )
        factor = min(wanted / given for wanted, given in sides)
        return factor, factor


def scaled_boxes(section: Any, size: InputSize | None = None) -> Boxes:
    """Boxes `(G, 4)` xyxy as the network sees them, those of each innermost data set once.

    Args:
        section: such as `data.train` of a config.
        size: of the network's input; what the section's `Resize` says when None.

    Raises:
        ValueError: no boxes, or an image whose size is not known.
    """
    size = size or pipeline_size(section)
    boxes = [boxes for part in split_section(section) for boxes in _of_dataset(part, size)]
    joined = np.concatenate([np.zeros((0, 4)), *boxes])
    joined = joined[(joined[:, 2:] > joined[:, :2]).all(axis=1)]
    if not len(joined):
        raise ValueError("the data set has no boxes to fit anchors to")
    return joined


def pipeline_size(section: Any) -> InputSize | None:
    """What the first `Resize` of a section makes of images: the mean of what it draws."""
    for step in _steps(section):
        if step.get("type") == "Resize" and step.get("img_scale") is not None:
            scales = np.atleast_2d(np.asarray(step["img_scale"], np.float64))
            width, height = (scales.mean(axis=0) * float(np.mean(step.get("ratio_range") or 1.0))).tolist()
            return InputSize(width, height, "edges" if step.get("keep_ratio", True) else "exact")
    return None


def _steps(section: Any) -> Iterator[Mapping[str, Any]]:
    """Transforms of all pipelines within a section, the outermost first."""
    if isinstance(section, (list, tuple)):
        for each in section:
            yield from _steps(each)
    elif isinstance(section, Mapping):
        yield from (step for step in section.get("pipeline") or () if isinstance(step, Mapping))
        for key in ("dataset", "datasets"):
            yield from _steps(section.get(key))


def _of_dataset(section: Mapping[str, Any], size: InputSize | None) -> Iterator[Boxes]:
    dataset = build_dataset({**section, "pipeline": []})
    for index, info in enumerate(dataset.data_infos):
        boxes = np.asarray(dataset.get_ann_info(index)["bboxes"], np.float64).reshape(-1, 4)
        if not len(boxes) or size is None:
            yield boxes
            continue
        width, height = info.get("width"), info.get("height")
        if not width or not height:
            raise ValueError(
                f"the annotations do not say how large {info.get('filename')} is; its boxes cannot be scaled"
            )
        yield boxes * np.tile(size.factors(width, height), 2)
