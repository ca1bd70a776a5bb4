"""Test-time augmentation: several versions of one image."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from raydet.transforms.base import Results, Transform
from raydet.transforms.compose import Compose
from raydet.transforms.resize import as_scales


class MultiScaleFlipAug(Transform):
    """Run `transforms` for each scale, unflipped and flipped, and gather each field in a list.

    Args:
        transforms: the pipeline; its `Resize` and `RandomFlip` follow what is set here.
        img_scale: (width, height), or several.
        scale_factor: a factor on the image size, or several. Exactly one of these two.
        flip: also run flipped versions.
        flip_direction: one direction or several.
    """

    def __init__(
        self,
        transforms: Sequence[Any],
        img_scale: Any = None,
        scale_factor: float | Sequence[float] | None = None,
        flip: bool = False,
        flip_direction: str | Sequence[str] = "horizontal",
    ) -> None:
        if (img_scale is None) == (scale_factor is None):
            raise ValueError(
                "MultiScaleFlipAug needs exactly one of img_scale and scale_factor, got "
                f"img_scale={img_scale!r}, scale_factor={scale_factor!r}"
            )
        self.transforms = Compose(transforms)
        factors = [scale_factor] if isinstance(scale_factor, (int, float)) else scale_factor
        self.img_scale: Sequence[Any] = as_scales(img_scale) or list(factors or [])
        self.scale_key = "scale" if scale_factor is None else "scale_factor"
        self.flip = flip
        self.flip_direction = [flip_direction] if isinstance(flip_direction, str) else list(flip_direction)
        self._warn_about_flips()

    def _warn_about_flips(self) -> None:
        if not self.flip and self.flip_direction != ["horizontal"]:
            warnings.warn("MultiScaleFlipAug: flip_direction has no effect when flip is False")
        if self.flip and not any(type(each).__name__ == "RandomFlip" for each in self.transforms.transforms):
            warnings.warn("MultiScaleFlipAug: flip has no effect when RandomFlip is not among transforms")

    def apply(self, results: Results, params: None) -> Results | None:
        versions = [self._version(results, scale, flip) for scale in self.img_scale for flip in self._flips()]
        if any(version is None for version in versions):
            return None
        done = [version for version in versions if version is not None]
        return {key: [version[key] for version in done] for key in done[0]}

    def _flips(self) -> list[str | None]:
        return [None, *(self.flip_direction if self.flip else [])]

    def _version(self, results: Results, scale: Any, direction: str | None) -> Results | None:
        flip = {"flip": direction is not None, "flip_direction": direction}
        return self.transforms({**results, self.scale_key: scale, **flip})
