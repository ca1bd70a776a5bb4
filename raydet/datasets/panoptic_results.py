"""Panoptic results as the JSON and PNG files of COCO."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from raydet.structures import INSTANCE_OFFSET, VOID, rgb_from_ids


def write(dataset: Any, maps: Sequence[np.ndarray], prefix: str) -> str:
    """Write `<prefix>.panoptic.json` and, in the folder `panoptic` beside it, one PNG per image.

    Args:
        dataset: a `CocoPanopticDataset`.
        maps: per image `(H, W)` integers, `instance * INSTANCE_OFFSET + label`; the label K stands for no segment.
        prefix: start of the path.

    Returns:
        The path of the JSON file.
    """
    folder = Path(prefix).parent / "panoptic"

    def of_image(index: int) -> dict[str, Any]:
        info = dataset.data_infos[index]
        numbers, segments = segments_in(maps[index], dataset)
        _write_png(rgb_from_ids(numbers), folder / info["segm_file"])
        return {"image_id": dataset.img_ids[index], "segments_info": segments, "file_name": info["segm_file"]}

    with ThreadPoolExecutor() as pool:  # compression happens outside the interpreter's lock
        annotations = list(pool.map(of_image, range(len(dataset))))
    path = Path(f"{prefix}.panoptic.json")
    path.write_text(json.dumps({"annotations": annotations}))
    return str(path)


def segments_in(result: np.ndarray, dataset: Any) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """The ids of a result map's pixels and what they stand for.

    Returns:
        `(H, W)` segment ids, `VOID` where there is none, and for each segment `dict(id, category_id, isthing, area)`.

    Raises:
        ValueError: a pixel has a label that is no class.
    """
    num_classes, num_known = len(dataset.CLASSES), len(dataset.cat_ids)
    numbers = np.where(result % INSTANCE_OFFSET == num_classes, VOID, np.where(result == VOID, num_classes, result))
    # The number VOID is taken in the file; a segment of class 0 without instance gets the one that void has left.
    segments = []
    for number, area in zip(*(each.tolist() for each in np.unique(numbers, return_counts=True)), strict=True):
        label = 0 if number == num_classes else number % INSTANCE_OFFSET
        if number == VOID:
            continue
        if label >= num_known:
            raise ValueError(f"a panoptic result has label {label}, the annotations have {num_known} classes")
        category = dataset.cat_ids[label]
        thing = int(dataset.is_thing(category))
        segments.append({"id": number, "category_id": category, "isthing": thing, "area": area})
    return numbers, segments


def _write_png(image: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    _, encoded = cv2.imencode(".png", image[..., ::-1])
    path.write_bytes(encoded.tobytes())


def pack(panoptic_file: str, name: str) -> str:
    """Pack what `write` wrote into `<name>.zip` beside it, as COCO's server wants it: `<name>.json`, `<name>/*.png`.

    Returns:
        The path of the zip.
    """
    path = Path(panoptic_file)
    records = json.loads(path.read_text())["annotations"]
    target = path.with_name(f"{name}.zip")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:  # PNG files are compressed already
        archive.write(path, f"{name}.json", zipfile.ZIP_DEFLATED)
        for record in records:
            archive.write(path.parent / "panoptic" / record["file_name"], f"{name}/{record['file_name']}")
    return str(target)
