"""What a detector finds in an image does not depend on how many images share its batch.

That holds to rounding when the padded size is the same: padding of the batch has the value of `Pad`'s padding. Images
that a larger neighbour pads further see more zeros beside them, and convolutions with a bias make features of zeros, so
that scores near the edge differ then, as they do in 2.x.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from raydet.datasets import BatchReader, Draw, to_device
from raydet.models import build_detector

MODEL = {
    "type": "RetinaNet",
    "backbone": {
        "type": "ResNet",
        "depth": 18,
        "base_channels": 8,
        "num_stages": 4,
        "out_indices": (1, 2, 3),
        "style": "pytorch",
    },
    "neck": {"type": "FPN", "in_channels": [16, 32, 64], "out_channels": 16, "num_outs": 3},
    "bbox_head": {
        "type": "RetinaHead",
        "num_classes": 2,
        "in_channels": 16,
        "stacked_convs": 1,
        "feat_channels": 16,
        "anchor_generator": {
            "type": "AnchorGenerator",
            "octave_base_scale": 4,
            "scales_per_octave": 1,
            "ratios": [1.0],
            "strides": [8, 16, 32],
        },
    },
    "test_cfg": {"nms_pre": 50, "score_thr": 0.0, "nms": {"type": "nms", "iou_threshold": 0.5}, "max_per_img": 10},
}


@pytest.fixture(scope="module")
def detector() -> torch.nn.Module:
    torch.manual_seed(0)
    model = build_detector(MODEL)
    model.init_weights()
    return model.eval()


def batch_of(dataset: Any, samples: list[int], defer: bool) -> dict[str, Any]:
    reader = BatchReader(dataset, defer_normalization=defer)
    return to_device(reader([Draw(sample, 0) for sample in samples]), "cpu")


def found(detector: Any, batch: dict[str, Any]) -> list[Any]:
    with torch.no_grad():
        return detector(img=batch["img"], img_metas=batch["img_metas"], return_loss=False, rescale=True)


@pytest.mark.parametrize("defer", [True, False])
def test_detections_are_the_same_alone_and_in_a_batch(
    make_coco: Callable[..., Any], pipelines: Any, detector: Any, defer: bool
) -> None:
    dataset = make_coco(pipelines.test(), test_mode=True)
    for step in dataset.pipeline.transforms[-1].transforms.transforms:
        if type(step).__name__ == "Pad":
            step.size, step.size_divisor = (128, 128), None
    together = found(detector, batch_of(dataset, [0, 1], defer))
    alone = [found(detector, batch_of(dataset, [sample], defer))[0] for sample in (0, 1)]
    for one, other in zip(together, alone, strict=True):
        assert sum(map(len, one)) > 0
        for mine, theirs in zip(one, other, strict=True):
            np.testing.assert_allclose(mine, theirs, atol=1e-4)
