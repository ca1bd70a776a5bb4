"""Anchors that suit the boxes of a data set better than those of a config."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from raydet.config import Config
from raydet.registry import PRIOR_GENERATORS
from raydet.search.anchors import coverage, find_generator, fitted, training_boxes
from raydet.search.keys import look_up

ALGORITHMS = {"k-means": "kmeans", "v5-k-means": "v5-kmeans", "differential_evolution": "differential_evolution"}
"""Names of 2.x and of YOLOv5, and of sweep files."""
MAX_BOXES = 100_000
"""That are looked at, a fixed random draw."""


@dataclass(frozen=True)
class OptimizedAnchors:
    """What came out.

    Args:
        key: dotted key of the anchor generator.
        generator: its new dict.
        num_boxes: that were looked at.
        before: recall at IoU 0.5 and mean best IoU of the config's anchors.
        after: of the new ones.
    """

    key: str
    generator: dict[str, Any]
    num_boxes: int
    before: dict[str, float]
    after: dict[str, float]

    @property
    def sizes(self) -> list[list[float]]:
        """Width and height of every anchor of every level, in pixels."""
        built = PRIOR_GENERATORS.build(dict(self.generator))
        sides = np.concatenate([(each[:, 2:] - each[:, :2]).numpy() for each in built.base_anchors])
        return [[round(float(side), 2) for side in pair] for pair in sides]


def optimize_anchors(
    cfg: Config,
    algorithm: str = "differential_evolution",
    input_shape: tuple[int, int] | None = None,
    num_anchors: int | None = None,
    iterations: int = 1000,
    generator: str | None = None,
) -> OptimizedAnchors:
    """Fit the anchors of a config to the boxes of its training data.

    Args:
        cfg: the config.
        algorithm: "k-means", "v5-k-means" or "differential_evolution".
        input_shape: width and height that images are fitted into; what the training pipeline's `Resize` says when None.
        num_anchors: at each place of a map, YOLO's: in all; as many as the config has when None.
        iterations: of the algorithm.
        generator: dotted key of the anchor generator; the only one of the model when None.

    Raises:
        ValueError: no such algorithm, no or several generators, one of a kind that cannot be fitted, or too few boxes.
    """
    if algorithm not in ALGORITHMS:
        raise ValueError(f"the algorithm is one of {', '.join(ALGORITHMS)}, got {algorithm!r}")
    key = find_generator(cfg, generator)
    old = look_up(key, dict(cfg.items()))
    boxes = training_boxes(cfg, input_shape, MAX_BOXES)
    new = fitted(old, boxes, num_anchors or count_anchors(old), ALGORITHMS[algorithm], iterations)
    return OptimizedAnchors(key, new, len(boxes), coverage(old, boxes), coverage(new, boxes))


def count_anchors(generator: Any) -> int:
    """Anchors at each place of a map, YOLO's: in all."""
    counts = PRIOR_GENERATORS.build(dict(generator)).num_base_priors
    return int(sum(counts) if generator["type"].startswith("YOLO") else max(counts))
