"""Cut a window around a drawn center, and pad what lies beyond the image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from raydet.transforms import boxes, images, objects
from raydet.transforms.base import Results, Transform

TEST_PAD_MODES = ("logical_or", "size_divisor")
_ROUNDS, _TRIES = 20, 50


class View(NamedTuple):
    """A window that may reach beyond the image; (left, top) is the image's corner in pixels of the window."""

    height: int
    width: int
    top: int
    left: int

    @classmethod
    def around(cls, center: tuple[int, int], size: tuple[int, int]) -> View:
        """The window of `size` = (height, width) whose middle shows the pixel `center` = (y, x)."""
        return cls(*size, size[0] // 2 - center[0], size[1] // 2 - center[1])

    def patch(self, shape: Sequence[int]) -> np.ndarray:
        """`(4,)` the part of an image of `shape` that is seen, in an odd window all but its last row or column."""
        x1, y1 = max(0, -self.left), max(0, -self.top)
        x2 = min(self.width // 2 * 2 - self.left, shape[1])
        return np.array([x1, y1, x2, min(self.height // 2 * 2 - self.top, shape[0])])

    def cut(self, image: np.ndarray, fill: Sequence[float]) -> np.ndarray:
        """What the window shows, `fill` beyond the image."""
        canvas: np.ndarray = np.empty((self.height, self.width, image.shape[2]), image.dtype)
        canvas[...] = fill
        x1, y1, x2, y2 = self.patch(image.shape)
        images.paste(canvas, image[y1:y2, x1:x2], self.left + x1, self.top + y1)
        return canvas


class RandomCenterCropPad(Transform):
    """Crop and pad for training, pad around the middle for testing (CornerNet, arXiv:1808.01244).

    Images must be float32 (`to_float32=True` in `LoadImageFromFile`); masks and semantic maps are not supported.

    Args:
        crop_size: (height, width) in pixels; for training only.
        ratios: factors on `crop_size` to draw from; for training only.
        border: distance of the window's center from the edges of large images, in pixels; for training only.
        mean: padding, in the channel order after `to_rgb`, as for `Normalize`.
        std: as for `Normalize`; without effect.
        to_rgb: `mean` is in RGB order, the images in BGR.
        test_mode: pad only, and enter `border` (top, bottom, left, right of the image) into the sample.
        test_pad_mode: for testing only: ("logical_or", n) pads edges to `edge | n`, ("size_divisor", n) to a multiple.
        test_pad_add_pix: added to the edges after "logical_or".
        bbox_clip_border: clip boxes to the window.
    """

    def __init__(
        self,
        crop_size: Sequence[int] | None = None,
        ratios: Sequence[float] | None = (0.9, 1.0, 1.1),
        border: int | None = 128,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        to_rgb: bool | None = None,
        test_mode: bool = False,
        test_pad_mode: Sequence[Any] | None = ("logical_or", 127),
        test_pad_add_pix: int = 0,
        bbox_clip_border: bool = True,
    ) -> None:
        if mean is None or std is None or to_rgb is None:
            raise ValueError("RandomCenterCropPad needs mean, std and to_rgb, the same as Normalize")
        self.mean = tuple(mean)[::-1] if to_rgb else tuple(mean)
        self.crop_size = crop_size
        self.ratios = ratios
        self.border = border
        self.test_mode = test_mode
        self.test_pad_mode = test_pad_mode
        self.test_pad_add_pix = test_pad_add_pix
        self.bbox_clip_border = bbox_clip_border
        self._check()

    def _check(self) -> None:
        training = {"crop_size": self.crop_size, "ratios": self.ratios, "border": self.border}
        testing = {"test_pad_mode": self.test_pad_mode}
        needed, excluded = (testing, training) if self.test_mode else (training, testing)
        wrong = [f"{key}=None" for key, value in needed.items() if value is None]
        wrong += [f"{key}={value!r}" for key, value in excluded.items() if value is not None]
        if wrong:
            raise ValueError(
                f"RandomCenterCropPad with test_mode={self.test_mode} needs {', '.join(needed)} and "
                f"{', '.join(excluded)}=None, got {', '.join(wrong)}"
            )
        if self.crop_size is not None and min(self.crop_size) <= 0:
            raise ValueError(f"crop_size must be two positive numbers, got {self.crop_size!r}")
        if self.test_pad_mode is not None and self.test_pad_mode[0] not in TEST_PAD_MODES:
            raise ValueError(f"test_pad_mode must begin with one of {TEST_PAD_MODES}, got {self.test_pad_mode!r}")

    def draw(self, results: Results) -> View | None:
        """The window; in training None when none of many shows the center of an object."""
        if self.test_mode:
            return self._test_view(results["img"].shape)
        for _ in range(_ROUNDS):
            ratio = np.random.choice(self.ratios or ())
            for _ in range(_TRIES):
                view = self._draw_view(results["img"].shape, ratio)
                found, patch = results["gt_bboxes"], view.patch(results["img"].shape)
                if not len(found) or boxes.centered_in(found, patch).any():
                    return view
        return None

    def _draw_view(self, shape: Sequence[int], ratio: float) -> View:
        height, width = shape[:2]
        assert self.crop_size is not None
        assert self.border is not None
        size = int(self.crop_size[0] * ratio), int(self.crop_size[1] * ratio)
        margin_y, margin_x = margin(self.border, height), margin(self.border, width)
        x = np.random.randint(margin_x, width - margin_x)
        y = np.random.randint(margin_y, height - margin_y)
        return View.around((int(y), int(x)), size)

    def _test_view(self, shape: Sequence[int]) -> View:
        assert self.test_pad_mode is not None
        mode, number = self.test_pad_mode
        height, width = shape[:2]
        if mode == "logical_or":
            size = (height | number) + self.test_pad_add_pix, (width | number) + self.test_pad_add_pix
        else:
            size = -(-height // number) * number, -(-width // number) * number
        return View.around((height // 2, width // 2), size)

    def apply(self, results: Results, params: View | None) -> Results | None:
        image = results["img"]
        if image.dtype != np.float32 or image.ndim != 3 or image.shape[2] != len(self.mean):
            raise ValueError(
                f"RandomCenterCropPad needs float32 images with {len(self.mean)} channels, got {image.dtype} of shape "
                f"{image.shape}; set to_float32=True in LoadImageFromFile"
            )
        if params is None:
            return None
        patch = params.patch(image.shape)
        results["img"] = params.cut(image, self.mean)
        results["pad_shape"] = results["img"].shape
        results["img_shape"] = image.shape if self.test_mode else results["img"].shape
        if self.test_mode:
            corner = np.array([params.top, params.top, params.left, params.left])
            results["border"] = (patch[[1, 3, 0, 2]] + corner).astype(np.float32)
        else:
            self._move_boxes(results, params, patch)
        return results

    def _move_boxes(self, results: Results, view: View, patch: np.ndarray) -> None:
        objects.need_boxes_only(results, self)
        for key in results.get("bbox_fields", []):
            inside = boxes.centered_in(results[key], patch)
            moved = results[key] + np.array([view.left, view.top] * 2, results[key].dtype)
            results[key] = boxes.clip(moved, (view.height, view.width)) if self.bbox_clip_border else moved
            objects.keep(results, key, inside & boxes.has_area(results[key]))


def margin(border: int, size: int) -> int:
    """`border`, halved as often as 2.x does so that two of it fit into `size`."""
    ratio = 2 * border / size
    return border >> max(math.ceil(ratio) - 1, 0).bit_length() + (ratio == int(ratio))
