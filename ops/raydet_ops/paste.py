"""Masks stretched to their boxes on the image."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from raydet_ops._checks import check_floating, check_shape, check_tensors
from raydet_ops._operator import define
from raydet_ops._regions import of_one_dtype


def _plain(masks: Tensor, boxes: Tensor, canvas: Tensor, threshold: float) -> None:
    height, width = canvas.shape[1:]
    for mask, box, image in zip(masks, boxes, canvas, strict=True):
        if not box.isfinite().all():
            continue
        left, top = (max(int(value) - 1, 0) for value in box[:2].floor().tolist())
        right, bottom = (int(value) + 1 for value in box[2:].ceil().tolist())
        rows = stretch_weights(box[1:2], box[3:], top, min(bottom, height), mask.shape[0])[0]
        columns = stretch_weights(box[:1], box[2:3], left, min(right, width), mask.shape[1])[0]
        pasted = rows @ mask @ columns.T
        window = image[top : top + len(rows), left : left + len(columns)]
        window.copy_((pasted * 255).clamp(0, 255) if threshold < 0 else pasted >= threshold)


def stretch_weights(start: Tensor, end: Tensor, low: int, high: int, cells: int) -> Tensor:
    """`(D, high - low, cells)` weight of each mask cell in each pixel from `low` to `high` of an image axis.

    Args:
        start: `(D,)` where the boxes start.
        end: `(D,)` where they end.
        low: first pixel.
        high: past the last pixel.
        cells: of the masks along the axis.
    """
    pixels = torch.arange(low, max(high, low), device=start.device, dtype=torch.float32) + 0.5
    relative = (pixels - start[:, None]) / (end - start)[:, None]
    # A box without extent shows the middle of its mask.
    relative = relative.nan_to_num(nan=0.5, posinf=0.5, neginf=0.5)
    places = relative * cells - 0.5
    cell = torch.arange(cells, device=start.device)
    return (1 - (places[..., None] - cell).abs()).clamp(min=0)


_paste = define(
    "paste_masks(Tensor masks, Tensor boxes, Tensor(a!) canvas, float threshold) -> ()",
    plain=_plain,
    fake=lambda masks, boxes, canvas, threshold: None,
)


def paste_masks(masks: Tensor, boxes: Tensor, size: tuple[int, int], threshold: float) -> Tensor:
    """Stretch masks to their boxes on the image, bilinearly, and threshold them.

    Args:
        masks: `(D, h, w)` probabilities.
        boxes: `(D, 4)` xyxy in pixels of the image.
        size: `(height, width)` of the image.
        threshold: masks are where the probability is at least this; negative for probabilities times 255.

    Returns:
        `(D, height, width)` bool, or uint8 if `threshold` is negative. Only the pixels under a box and one around them
        are looked at.

    Raises:
        ValueError: wrong shapes or sizes, or two devices.
        TypeError: `masks` or `boxes` is not floating.
    """
    check_tensors(masks=masks, boxes=boxes)
    check_floating(masks=masks, boxes=boxes)
    check_shape("masks", masks, "D", "h", "w")
    check_shape("boxes", boxes, len(masks), 4)
    if len(size) != 2 or min(size) < 0:
        raise ValueError(f"size must be (height, width), got {size!r}")
    canvas = _zeros((len(masks), *size), masks.device)
    if masks.numel():
        _paste(*of_one_dtype(masks.detach(), boxes.detach()), canvas, float(threshold))
    return canvas if threshold < 0 else canvas.view(torch.bool)


def _zeros(shape: tuple[int, ...], device: torch.device) -> Tensor:
    """Zeros of uint8; on a CPU from memory that comes zeroed, so that pages without boxes stay untouched."""
    if device.type == "cpu" and not torch.compiler.is_compiling():
        return torch.from_numpy(np.zeros(shape, dtype=np.uint8))
    return torch.zeros(shape, dtype=torch.uint8, device=device)
