"""The anchors of a sweep over the boxes that they are to find."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from raydet.config import Config
from raydet.registry import PRIOR_GENERATORS
from raydet.search.anchors import training_boxes
from raydet.search.records import TrialRecord
from raydet.search.report.overview import AnchorPlot, AnchorSet

MOST_BOXES = 2000
"""That are drawn."""


def anchor_plot(configs: Sequence[tuple[str, Config]], records: Sequence[TrialRecord]) -> AnchorPlot | None:
    """Anchors of configs over the training boxes of the first.

    Args:
        configs: with their labels.
        records: of the sweep.

    Returns:
        None where the trials leave the anchors alone or the model has none.
    """
    if not any("anchor_generator" in key for record in records for key in record.options):
        return None
    sets = tuple(AnchorSet(label, sizes) for label, cfg in configs if (sizes := anchor_sizes(cfg)))
    boxes = box_sizes(configs[0][1]) if sets else ()
    return AnchorPlot(boxes, sets) if boxes else None


def anchor_sizes(cfg: Config) -> tuple[tuple[float, float], ...]:
    """Width and height of each anchor of each level, in pixels of the network's input; empty without anchors."""
    generator = next(_generators(cfg["model"]), None)
    base_anchors = getattr(PRIOR_GENERATORS.build(dict(generator)), "base_anchors", ()) if generator else ()
    corners = [tuple(map(float, anchor)) for level in base_anchors for anchor in level]
    return tuple((x2 - x1, y2 - y1) for x1, y1, x2, y2 in corners)


def _generators(section: Any) -> Iterator[Mapping[str, Any]]:
    """Anchor generators of a model, outermost first."""
    if isinstance(section, Mapping):
        if "anchor_generator" in section:
            yield section["anchor_generator"]
        for child in section.values():
            yield from _generators(child)
    elif isinstance(section, (list, tuple)):
        for child in section:
            yield from _generators(child)


def box_sizes(cfg: Config) -> tuple[tuple[float, float], ...]:
    """Width and height of training boxes in pixels of the network's input, a fixed draw where there are many."""
    return tuple((float(x2 - x1), float(y2 - y1)) for x1, y1, x2, y2 in training_boxes(cfg, max_boxes=MOST_BOXES))
