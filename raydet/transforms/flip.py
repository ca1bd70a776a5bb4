"""Mirror a sample by chance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from raydet.transforms import boxes, images
from raydet.transforms.base import Results, Transform

DIRECTIONS = ("horizontal", "vertical", "diagonal")


class RandomFlip(Transform):
    """Flip images, boxes, masks and semantic maps.

    `flip` and `flip_direction` in the sample (as `MultiScaleFlipAug` sets them) go before the draw.

    Args:
        flip_ratio: probability in [0, 1], shared by all directions, or one for each. None: the sample decides.
        direction: one of `DIRECTIONS`, or a list of them.
    """

    def __init__(
        self, flip_ratio: float | Sequence[float] | None = None, direction: str | Sequence[str] = "horizontal"
    ) -> None:
        self.flip_ratio = flip_ratio
        self.direction = direction
        self._directions = [direction] if isinstance(direction, str) else list(direction)
        wrong = [each for each in self._directions if each not in DIRECTIONS]
        if wrong or not self._directions:
            raise ValueError(f"direction must be one or several of {DIRECTIONS}, got {direction!r}")
        self._chances = _chances(flip_ratio, len(self._directions))

    def draw(self, results: Results) -> str | None:
        """The direction, or None for no flip."""
        if "flip" in results:
            preset = results.get("flip_direction")
            return (preset or self._directions[0]) if results["flip"] else None
        if self._chances is None:
            raise ValueError("RandomFlip needs flip_ratio, since the sample has no 'flip'")
        choices = [*self._directions, None]
        return choices[np.random.choice(len(choices), p=self._chances)]

    def apply(self, results: Results, params: str | None) -> Results:
        results.setdefault("flip", params is not None)
        results.setdefault("flip_direction", params)
        if params is None:
            return results
        for key in results.get("img_fields", ["img"]):
            results[key] = images.flip(results[key], params)
        for key in results.get("bbox_fields", []):
            results[key] = boxes.flip(results[key], results["img_shape"], params)
        for key in results.get("mask_fields", []):
            results[key] = results[key].flip(params)
        for key in results.get("seg_fields", []):
            results[key] = images.flip(results[key], params)
        return results


def _chances(flip_ratio: float | Sequence[float] | None, count: int) -> list[float] | None:
    """Probability of each direction and, last, of none."""
    if flip_ratio is None:
        return None
    ratios = [flip_ratio / count] * count if isinstance(flip_ratio, (int, float)) else list(flip_ratio)
    if len(ratios) != count:
        raise ValueError(f"flip_ratio has {len(ratios)} values for {count} directions")
    if min(ratios) < 0 or sum(ratios) > 1:
        raise ValueError(f"flip_ratio must lie in [0, 1] and add up to at most 1, got {flip_ratio!r}")
    return [*ratios, 1 - sum(ratios)]
