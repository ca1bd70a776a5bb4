"""What transforms that join several samples have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from raydet.transforms import images
from raydet.transforms.base import Results, Transform


class MixingTransform(Transform):
    """A transform that joins other samples of the data set to a sample.

    `MultiImageMixDataset` asks `get_indexes` for them and enters them as `mix_results`.
    """

    num_partners = 1

    def get_indexes(self, dataset: Any) -> list[int]:
        """Draw which samples of the data set are to be joined."""
        return [int(np.random.randint(len(dataset))) for _ in range(self.num_partners)]

    def partners(self, results: Results) -> list[Results]:
        """The samples that `results` brings along.

        Raises:
            ValueError: they are not as many as the transform joins.
        """
        partners: list[Results] = results.get("mix_results", [])
        if len(partners) != self.num_partners:
            raise ValueError(
                f"{type(self).__name__} joins {self.num_partners} further samples, mix_results has {len(partners)}; "
                "put it into the pipeline of a MultiImageMixDataset"
            )
        return partners


def fitted_size(shape: Sequence[int], size: Sequence[int]) -> tuple[images.Size, float]:
    """The largest (height, width) within `size` of the aspect ratio of an image of `shape`, and the factor to it."""
    factor = min(size[0] / shape[0], size[1] / shape[1])
    return (max(int(shape[0] * factor), 1), max(int(shape[1] * factor), 1)), factor


def resized(image: np.ndarray, size: images.Size) -> np.ndarray:
    """An image in `size` = (height, width)."""
    return images.resize(image, (size[1], size[0]))


def moved(boxes: np.ndarray, factor: float, left: float, top: float) -> np.ndarray:
    """Boxes times `factor`, then moved to the right and down."""
    return np.asarray(boxes * np.float32(factor) + np.array([left, top] * 2, np.float32))
