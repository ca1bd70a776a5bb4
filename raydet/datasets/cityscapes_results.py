"""2.x results as the files that the test server of Cityscapes takes."""

from __future__ import annotations

import os.path as osp
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as rle_tools

# The numbers of the classes with instances, as https://github.com/mcordts/cityscapesScripts defines them.
LABEL_IDS = {
    "person": 24,
    "rider": 25,
    "car": 26,
    "truck": 27,
    "bus": 28,
    "train": 31,
    "motorcycle": 32,
    "bicycle": 33,
}


def write_results(folder: str, filenames: Sequence[str], classes: Sequence[str], results: Sequence[Any]) -> list[str]:
    """Write one text file per image, and one PNG per object beside it.

    A line of a text file names the PNG, the number of the class and the score.

    Args:
        folder: where the files go; made when missing.
        filenames: of the images.
        classes: names of the classes.
        results: per image (boxes by class, masks by class) or (boxes, (masks, mask scores)).

    Returns:
        Paths of the text files.

    Raises:
        ValueError: a class is not one of Cityscapes.
        TypeError: the results have no masks.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    unknown = [name for name in classes if name not in LABEL_IDS]
    if unknown:
        raise ValueError(f"Cityscapes has no instances of {unknown}; its classes are {', '.join(LABEL_IDS)}")
    return [
        _write_image(osp.join(folder, Path(filename).stem), classes, result)
        for filename, result in zip(filenames, results, strict=True)
    ]


def _write_image(prefix: str, classes: Sequence[str], result: Any) -> str:
    if not isinstance(result, tuple):
        raise TypeError(
            f"Cityscapes takes (boxes, masks) of each image, got {type(result).__name__}; test a mask model"
        )
    lines = []
    for number, (label, mask, score) in enumerate(_objects(*result)):
        picture = f"{prefix}_{number}_{classes[label]}.png"
        cv2.imwrite(picture, np.asarray(rle_tools.decode(mask), np.uint8))
        lines.append(f"{osp.basename(picture)} {LABEL_IDS[classes[label]]} {score}\n")
    path = f"{prefix}_pred.txt"
    Path(path).write_text("".join(lines))
    return path


def _objects(boxes: Sequence[np.ndarray], masks: Any) -> Iterator[tuple[int, Any, float]]:
    """Label, mask and score of each object; a mask's own score goes before that of its box."""
    masks, scores = masks if isinstance(masks, tuple) else (masks, [dets[:, 4] for dets in boxes])
    for label, (found, found_scores) in enumerate(zip(masks, scores, strict=True)):
        for mask, score in zip(found, found_scores, strict=True):
            yield label, mask, float(score)
