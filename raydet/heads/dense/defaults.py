"""Parts that many dense heads start from."""

from __future__ import annotations

from typing import Any

FOCAL_LOSS = {"type": "FocalLoss", "use_sigmoid": True, "gamma": 2.0, "alpha": 0.25, "loss_weight": 1.0}
BINARY_LOSS = {"type": "CrossEntropyLoss", "use_sigmoid": True, "loss_weight": 1.0}
GROUP_NORM = {"type": "GN", "num_groups": 32, "requires_grad": True}
SIDES_CODER = {"type": "DistancePointBBoxCoder"}


def rare_classes(predictor: str) -> dict[str, Any]:
    """Initialisation whose classes, predicted by the convolution of this name, start at probability 0.01."""
    override = {"type": "Normal", "name": predictor, "std": 0.01, "bias_prob": 0.01}
    return {"type": "Normal", "layer": "Conv2d", "std": 0.01, "override": override}
