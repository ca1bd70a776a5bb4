"""The 2.x builder functions."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from raydet.detectors.base import BaseDetector
from raydet.registry import BACKBONES, DETECTORS, HEADS, LOSSES, NECKS, ROI_EXTRACTORS, SHARED_HEADS, place_of

build_backbone = BACKBONES.build
build_neck = NECKS.build
build_head = HEADS.build
build_loss = LOSSES.build
build_roi_extractor = ROI_EXTRACTORS.build
build_shared_head = SHARED_HEADS.build


def build_detector(
    cfg: Any, train_cfg: Mapping[str, Any] | None = None, test_cfg: Mapping[str, Any] | None = None
) -> BaseDetector:
    """Build a detector.

    Args:
        cfg: the `model` dict of a config.
        train_cfg: deprecated: stands in `cfg`.
        test_cfg: deprecated: stands in `cfg`.

    Raises:
        KeyError: unknown `type`.
        TypeError: unknown or missing arguments.
        ValueError: settings stand both in `cfg` and beside it.
    """
    outer = {"train_cfg": train_cfg, "test_cfg": test_cfg}
    outer = {key: value for key, value in outer.items() if value is not None}
    if outer:
        warnings.warn(
            f"{' and '.join(outer)} beside the model are deprecated; put them into the model dict", UserWarning
        )
    for key in outer:
        if cfg.get(key) is not None:
            raise ValueError(f"{place_of(cfg, key)}{key} is given both inside the model dict and beside it; keep one")
    detector: BaseDetector = DETECTORS.build({**cfg, **outer} if outer else cfg)
    return detector
