"""Shipped configs made small, and what it takes to let one learn a few real images by heart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from raydet.config import Config, assets_root, find_config
from raydet.datasets import build_dataset
from raydet.datasets.collate import collate
from raydet.evaluation import eval_map, eval_recalls
from raydet.structures import BitmapMasks

TILES = (0, 6, 10, 11)  # of the training part of the nuclei, with 35 objects
BACKBONE = {"type": "ResNet", "depth": 18, "base_channels": 16, "frozen_stages": -1, "norm_eval": False}
CHANNELS = {"in_channels": [16, 32, 64, 128], "in_channel": 128}  # of the backbone above: all maps, the last one
DIVIDED = {
    *("in_channels", "out_channels", "feat_channels", "point_feat_channels", "block_mid_channels"),
    *("in_channel", "feat_channel", "num_deconv_filters", "num_groups"),
}


def small(name: str, divide: int = 8, **changes: Any) -> dict[str, Any]:
    """The model of a shipped config for one class, with a ResNet of few channels if it has a ResNet.

    Args:
        name: of the config.
        divide: channels and groups behind the ResNet become this many times fewer.
        **changes: what else is different, nested as in a config.
    """
    model = _for_one_class(Config.fromfile(find_config(name)).model.to_dict())
    if model["backbone"]["type"] == "ResNet":
        model = {key: _shrunk(key, _divided(value, divide)) for key, value in model.items()}
    return _merged(model, changes)


def _for_one_class(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: 1 if k == "num_classes" else _for_one_class(v) for k, v in value.items() if k != "init_cfg"}
    return value


def _divided(value: Any, divide: int, key: str = "") -> Any:
    if isinstance(value, Mapping):
        return {k: _divided(v, divide, k) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_divided(each, divide, key) for each in value]
    return value // divide if key in DIVIDED and isinstance(value, int) else value


def _shrunk(key: str, part: Any) -> Any:
    """Backbones, those of teachers as well, become small; their necks follow."""
    if key.endswith("backbone"):
        return {**BACKBONE, "out_indices": part.get("out_indices", (0, 1, 2, 3))}
    if not key.endswith("neck"):
        return part
    if isinstance(part, list):
        return [_shrunk(key, part[0]), *part[1:]]
    last = {"in_channels": CHANNELS["in_channel"]} if isinstance(part.get("in_channels"), int) else {}
    return {**part, **{name: value for name, value in CHANNELS.items() if name in part}, **last}


def _merged(base: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    both = {key for key, value in changes.items() if isinstance(value, Mapping) and isinstance(base.get(key), Mapping)}
    nested = {key: _merged(base[key], changes[key]) for key in both}
    return {**base, **changes, **nested}


def tiles(size: int) -> dict[str, Any]:
    """A training batch of micrographs, enlarged to `size` pixels a side, with boxes and masks."""
    folder = assets_root() / "nuclei"
    dataset = build_dataset(
        {
            "type": "CocoDataset",
            "ann_file": str(folder / "instances_train.json"),
            "img_prefix": str(folder / "images"),
            "classes": ("nucleus",),
            "pipeline": [
                {"type": "LoadImageFromFile"},
                {"type": "LoadAnnotations", "with_bbox": True, "with_mask": True},
                {"type": "Resize", "img_scale": (size, size), "keep_ratio": True},
                {"type": "RandomFlip", "flip_ratio": 0.0},
                {"type": "Normalize", "mean": [40.0] * 3, "std": [45.0] * 3, "to_rgb": True},
                {"type": "DefaultFormatBundle"},
                {"type": "Collect", "keys": ["img", "gt_bboxes", "gt_labels", "gt_masks"]},
            ],
        }
    )
    return collate([dataset[index] for index in TILES])


def learn(model: nn.Module, batch: Mapping[str, Any], num_steps: int, rate: float) -> list[dict[str, float]]:
    """Train on the same batch over and over; what every step logged."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=num_steps, pct_start=0.1)
    logged = []
    for _ in range(num_steps):
        step = model.train_step(batch)
        optimizer.zero_grad()
        step["loss"].backward()
        nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        schedule.step()
        logged.append(step["log_vars"])
    return logged


def average_precision(model: nn.Module, batch: Mapping[str, Any]) -> float:
    """AP at IoU 0.5 of what the model finds on the images that it was trained on."""
    results = model.simple_test(batch["img"], batch["img_metas"])
    truths = [
        {"bboxes": boxes.numpy(), "labels": labels.numpy()}
        for boxes, labels in zip(batch["gt_bboxes"], batch["gt_labels"], strict=True)
    ]
    return float(eval_map([[boxes_of(result)] for result in results], truths, logger="silent")[0])


def recall(model: nn.Module, batch: Mapping[str, Any], num: int) -> float:
    """Part of the objects that the best `num` proposals of their image overlap by half or more."""
    proposals = model.simple_test(batch["img"], batch["img_metas"])
    truths = [boxes.numpy() for boxes in batch["gt_bboxes"]]
    return float(eval_recalls(truths, proposals, num, 0.5, logger="silent")[0, 0])


def boxes_of(result: Any) -> np.ndarray:
    """`(D, 5)` boxes in a 2.x result of one class: an array, a list of one, or a pair with masks.

    Models that find masks alone give boxes of no size: theirs are those of the masks.
    """
    if isinstance(result, np.ndarray):
        return result
    if isinstance(result, list):
        return result[0]
    rows, masks = result[0][0].copy(), result[1][0]
    if len(rows) and not rows[:, :4].any():
        rows[:, :4] = BitmapMasks(np.stack(masks).astype(np.uint8), *masks[0].shape).get_bboxes()
    return rows
