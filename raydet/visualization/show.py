"""Pictures of results and of ground truth."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from raydet.visualization.draw import Style, draw_objects
from raydet.visualization.objects import Objects, objects_from_annotation, objects_from_result
from raydet.visualization.palette import color_of


def show_result(
    model_or_classes: Any,
    image: str | os.PathLike[str] | np.ndarray,
    result: Any,
    score_thr: float = 0.3,
    out_file: str | os.PathLike[str] | None = None,
    *,
    palette: Sequence[Sequence[int]] | None = None,
    thickness: int | None = None,
    font_size: int | None = None,
    opacity: float = 0.4,
    bbox_color: str | Sequence[int] | None = None,
    text_color: str | Sequence[int] | None = None,
    mask_color: str | Sequence[int] | None = None,
    min_size: int = 0,
    show: bool = False,
    win_name: str = "raydet",
    wait_time: float = 0,
) -> np.ndarray:
    """Draw the result of one image.

    Args:
        model_or_classes: class names, or a model or data set with `CLASSES` and perhaps `PALETTE`.
        image: a file or the `(H, W, 3)` or `(H, W)` uint8 image, blue first as OpenCV reads it. Left as it is.
        result: what the model gave for it, see `objects_from_result`.
        score_thr: detections that score less are not drawn.
        out_file: also write the picture; folders are made as needed.
        palette: RGB colour of each class.
        thickness: of lines in pixels; by the size of the image when left out.
        font_size: of labels in pixels; by the size of the image when left out.
        opacity: of masks, in [0, 1].
        bbox_color: one colour for all boxes and labels, blue first as in 2.x, or a name such as "red".
        text_color: of the letters of labels.
        mask_color: one colour for all masks.
        min_size: small images are enlarged by a whole factor until their short side has this many pixels.
        show: also open a window, where there is a screen and OpenCV can.
        win_name: title of the window.
        wait_time: seconds until the window closes; 0 waits for a key.

    Returns:
        The picture, `(H, W, 3)` uint8, blue first.

    Raises:
        FileNotFoundError: there is no such image.
        ValueError: the file is no image, or the result is that of another image.
    """
    classes = getattr(model_or_classes, "CLASSES", model_or_classes)
    palette = getattr(model_or_classes, "PALETTE", None) if palette is None else palette
    objects = objects_from_result(result, score_thr)
    style = Style(
        thickness, font_size, opacity, palette, color_of(bbox_color), color_of(mask_color), color_of(text_color)
    )
    drawn = _picture(read_image(image), objects, classes, style, out_file, min_size)
    if show:
        _open_window(drawn, win_name, wait_time)
    return drawn


def draw_ground_truth(
    dataset: Any,
    index: int,
    out_file: str | os.PathLike[str] | None = None,
    *,
    style: Style | None = None,
    min_size: int = 0,
) -> np.ndarray:
    """Draw the annotations of one image of a data set.

    Args:
        dataset: has `data_infos`, `img_prefix`, `get_ann_info(i)` and `CLASSES`.
        index: of the image.
        out_file: also write the picture.
        style: see `Style`; colours are the data set's `PALETTE` when left out.
        min_size: see `show_result`.
    """
    image = read_image(image_file(dataset, index))
    objects = objects_from_annotation(dataset.get_ann_info(index), *image.shape[:2])
    style = style or Style(palette=getattr(dataset, "PALETTE", None))
    return _picture(image, objects, dataset.CLASSES, style, out_file, min_size)


def draw_comparison(
    dataset: Any,
    index: int,
    result: Any,
    out_file: str | os.PathLike[str] | None = None,
    *,
    score_thr: float = 0.3,
    min_size: int = 0,
) -> np.ndarray:
    """Draw the annotations of one image of a data set on the left and a result for it on the right."""
    truth = draw_ground_truth(dataset, index, min_size=min_size)
    found = show_result(dataset, image_file(dataset, index), result, score_thr, min_size=min_size)
    gap = np.full((truth.shape[0], max(2, truth.shape[1] // 64), 3), 255, dtype=np.uint8)
    picture = np.concatenate([truth, gap, found], axis=1)
    if out_file is not None:
        write_image(picture, out_file)
    return picture


def image_file(dataset: Any, index: int) -> Path:
    """File of one image of a data set."""
    return Path(dataset.img_prefix or "", dataset.data_infos[index]["filename"])


def read_image(image: str | os.PathLike[str] | np.ndarray) -> np.ndarray:
    """An image as `(H, W, 3)` uint8, blue first, from a file or from an array with or without colours."""
    pixels = image if isinstance(image, np.ndarray) else _decode(Path(image))
    if pixels.dtype != np.uint8 or not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (1, 3))):
        raise ValueError(f"expected an image (H, W, 3) or (H, W) of uint8, got {pixels.shape} of {pixels.dtype}")
    colors = pixels.reshape(*pixels.shape[:2], -1)
    return np.repeat(colors, 3, axis=2) if colors.shape[2] == 1 else colors


def _decode(path: Path) -> np.ndarray:
    if not path.is_file():
        raise FileNotFoundError(f"there is no image {path}")
    content = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    pixels: np.ndarray | None = cv2.imdecode(content, cv2.IMREAD_COLOR) if content.size else None
    if pixels is None:
        raise ValueError(f"{path} is not an image that OpenCV can read")
    return pixels


def write_image(image: np.ndarray, path: str | os.PathLike[str]) -> None:
    """Write an image to a file of the kind that its ending names; folders are made as needed."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.haveImageWriter(str(path)):
        raise ValueError(f"cannot write pictures of the kind {path.suffix!r} ({path}); take .png or .jpg")
    _, encoded = cv2.imencode(path.suffix, image)
    path.write_bytes(encoded.tobytes())


def _open_window(picture: np.ndarray, title: str, seconds: float) -> None:
    try:
        cv2.imshow(title, picture)
        cv2.waitKey(int(seconds * 1000))
    except cv2.error as error:
        raise ValueError("this OpenCV cannot open windows; write the picture with out_file instead") from error


def _picture(
    image: np.ndarray,
    objects: Objects,
    classes: Sequence[str] | None,
    style: Style,
    out_file: str | os.PathLike[str] | None,
    min_size: int,
) -> np.ndarray:
    factor = max(1, -(-min_size // max(1, min(image.shape[:2]))))
    drawn = draw_objects(_enlarged(image, factor), _enlarged_objects(objects, factor), classes, style)
    if out_file is not None:
        write_image(drawn, out_file)
    return drawn


def _enlarged(image: np.ndarray, factor: int, interpolation: int = cv2.INTER_CUBIC) -> np.ndarray:
    return image if factor == 1 else cv2.resize(image, None, fx=factor, fy=factor, interpolation=interpolation)


def _enlarged_objects(objects: Objects, factor: int) -> Objects:
    masks = objects.masks
    if masks is not None and factor > 1:
        masks = [_enlarged(mask.astype(np.uint8), factor, cv2.INTER_NEAREST).astype(bool) for mask in masks]
    return Objects(objects.boxes * factor, objects.labels, objects.scores, masks)
