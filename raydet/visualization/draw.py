"""Paint boxes, masks and labels on an image. Images are `(H, W, 3)` uint8 in the order blue, green, red."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from raydet.visualization.objects import Objects, names_of
from raydet.visualization.palette import Color, class_color, text_color

MAX_LABEL_COVER = 0.3
"""Labels that would cover more than this part of the image are shortened, then left out."""


@dataclass(frozen=True)
class Style:
    """How things are drawn; None takes what suits the size of the image.

    Attributes:
        thickness: of lines, in pixels.
        font_size: of labels, in pixels.
        opacity: of masks, in [0, 1].
        palette: RGB colour of each class.
        box_color: of all boxes and labels, in place of the palette.
        mask_color: of all masks, in place of the palette.
        letter_color: of the letters of labels; black or white when left out.
    """

    thickness: int | None = None
    font_size: int | None = None
    opacity: float = 0.4
    palette: Sequence[Sequence[int]] | None = None
    box_color: Color | None = None
    mask_color: Color | None = None
    letter_color: Color | None = None

    def for_image(self, image: np.ndarray) -> tuple[int, int]:
        """Thickness and font size on `image`."""
        side = min(image.shape[:2])
        thickness = max(1, round(side / 300)) if self.thickness is None else self.thickness
        font_size = int(np.clip(side / 36, 11, 40)) if self.font_size is None else self.font_size
        return thickness, font_size


def draw_objects(
    image: np.ndarray, objects: Objects, classes: Sequence[str] | None = None, style: Style | None = None
) -> np.ndarray:
    """A copy of `image` with the objects drawn on it: masks below, then boxes, labels on top.

    Raises:
        ValueError: a mask is not of the size of the image.
    """
    style = style or Style()
    thickness, font_size = style.for_image(image)
    canvas: np.ndarray = image.copy()
    colors = [class_color(int(max(label, 0)), style.palette) for label in objects.labels]
    for mask, color in zip(objects.masks or [], colors, strict=bool(objects.masks)):
        _draw_mask(canvas, mask, style.mask_color or color, style.opacity, thickness)
    colors = [style.box_color or color for color in colors]
    for box, color in zip(objects.boxes, colors, strict=True):
        _draw_box(canvas, box, color, thickness)
    for box, text, color in zip(objects.boxes, _label_texts(objects, classes, canvas, font_size), colors, strict=True):
        if text:
            _draw_label(canvas, box, label_patch(text, font_size), color, style.letter_color or text_color(color))
    return canvas


def _draw_mask(canvas: np.ndarray, mask: np.ndarray, color: Color, opacity: float, thickness: int) -> None:
    if mask.shape != canvas.shape[:2]:
        raise ValueError(
            f"a mask of {mask.shape[1]} x {mask.shape[0]} pixels on an image of {canvas.shape[1]} x {canvas.shape[0]}; "
            "draw on the image that the result was made for"
        )
    paint = np.array(color[::-1], dtype=np.float32)
    canvas[mask] = (canvas[mask] * (1 - opacity) + paint * opacity).astype(np.uint8)
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(canvas, contours, -1, color[::-1], thickness, cv2.LINE_AA)


def _draw_box(canvas: np.ndarray, box: np.ndarray, color: Color, thickness: int) -> None:
    left, top, right, bottom = np.clip(box, -1e6, 1e6).round().astype(int).tolist()
    cv2.rectangle(canvas, (left, top), (right, bottom), color[::-1], thickness, cv2.LINE_AA)


def _label_texts(objects: Objects, classes: Sequence[str] | None, canvas: np.ndarray, font_size: int) -> list[str]:
    """The longest form of the labels that leaves most of the image to be seen."""
    names = names_of(objects.labels, classes)
    forms = [names]
    if objects.scores is not None:
        scores = [f"{score:.2f}" for score in objects.scores]
        forms = [[f"{name} {score}".strip() for name, score in zip(names, scores, strict=True)], scores]
    budget = MAX_LABEL_COVER * canvas.shape[0] * canvas.shape[1]
    for texts in forms:
        if sum(label_patch(text, font_size).size for text in texts if text) <= budget:
            return texts
    return [""] * len(objects)


@lru_cache(maxsize=4096)
def label_patch(text: str, font_size: int) -> np.ndarray:
    """How much of each pixel the letters of `text` cover, `(h, w)` in [0, 1], with a small margin."""
    font = ImageFont.load_default(font_size)
    left, top, right, bottom = font.getbbox("|" + text)
    margin = max(1, font_size // 8)
    size = (int(right - left) + 2 * margin, int(bottom - top) + 2 * margin)
    patch = Image.new("L", size)
    ImageDraw.Draw(patch).text((margin - left, margin - top), text, fill=255, font=font)
    return np.asarray(patch, dtype=np.float32)[..., None] / 255


def _draw_label(canvas: np.ndarray, box: np.ndarray, patch: np.ndarray, color: Color, letter_color: Color) -> None:
    """Put the label above the box, or inside it at the upper edge of the image."""
    height, width = canvas.shape[:2]
    patch = patch[:height, :width]
    left = int(np.clip(round(float(box[0])), 0, width - patch.shape[1]))
    above = round(float(box[1])) - patch.shape[0]
    top = int(np.clip(above if above >= 0 else round(float(box[1])), 0, height - patch.shape[0]))
    background, letters = (np.array(each[::-1], dtype=np.float32) for each in (color, letter_color))
    region = canvas[top : top + patch.shape[0], left : left + patch.shape[1]]
    region[:] = (background * (1 - patch) + letters * patch).astype(np.uint8)
