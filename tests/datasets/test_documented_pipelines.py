"""Training pipelines as the 2.x configs of well-known detectors write them, smaller, on the embedded nuclei."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import raydet
from raydet.config import Config, check_config
from raydet.datasets import BatchReader, IndexPlan, build_dataset, to_device
from raydet.structures import BitmapMasks

NUCLEI = Path(raydet.__file__).parent / "assets" / "nuclei"
SIZE = (96, 96)
NORMALIZE = {"type": "Normalize", "mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375], "to_rgb": True}
BOXES = ["img", "gt_bboxes", "gt_labels"]
FORMAT = [{"type": "DefaultFormatBundle"}, {"type": "Collect", "keys": BOXES}]
FORMAT_MASKS = [{"type": "DefaultFormatBundle"}, {"type": "Collect", "keys": [*BOXES, "gt_masks"]}]
FLIP = {"type": "RandomFlip", "flip_ratio": 0.5}
LOAD = [{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations", "with_bbox": True}]
LOAD_FLOATS = [{"type": "LoadImageFromFile", "to_float32": True}, LOAD[1]]
LOAD_MASKS = [LOAD[0], {"type": "LoadAnnotations", "with_bbox": True, "with_mask": True}]

YOLOX = [
    {"type": "Mosaic", "img_scale": SIZE, "pad_val": 114.0},
    {"type": "RandomAffine", "scaling_ratio_range": (0.1, 2), "border": (-SIZE[0] // 2, -SIZE[1] // 2)},
    {"type": "MixUp", "img_scale": SIZE, "ratio_range": (0.8, 1.6), "pad_val": 114.0},
    {"type": "YOLOXHSVRandomAug"},
    FLIP,
    {"type": "Resize", "img_scale": SIZE, "keep_ratio": True},
    {"type": "Pad", "pad_to_square": True, "pad_val": {"img": (114.0, 114.0, 114.0)}},
    {"type": "FilterAnnotations", "min_gt_bbox_wh": (1, 1), "keep_empty": False},
    *FORMAT,
]
SSD = [
    *LOAD_FLOATS,
    {"type": "Expand", "mean": [123.675, 116.28, 103.53], "to_rgb": True, "ratio_range": (1, 4)},
    {"type": "MinIoURandomCrop", "min_ious": (0.1, 0.3, 0.5, 0.7, 0.9), "min_crop_size": 0.3},
    {"type": "Resize", "img_scale": SIZE, "keep_ratio": False},
    FLIP,
    {"type": "PhotoMetricDistortion", "brightness_delta": 32, "contrast_range": (0.5, 1.5), "hue_delta": 18},
    NORMALIZE,
    {"type": "Pad", "size_divisor": 32},
    *FORMAT,
]
CENTERNET = [
    *LOAD_FLOATS,
    {"type": "PhotoMetricDistortion"},
    {
        "type": "RandomCenterCropPad",
        "crop_size": SIZE,
        "ratios": (0.6, 0.8, 1.0, 1.2),
        "mean": [0, 0, 0],
        "std": [1, 1, 1],
        "to_rgb": True,
        "test_pad_mode": None,
    },
    {"type": "Resize", "img_scale": SIZE, "keep_ratio": True},
    FLIP,
    NORMALIZE,
    *FORMAT,
]
SCALES = [(64, 133), (80, 133), (96, 133)]
DETR = [
    *LOAD,
    FLIP,
    {
        "type": "AutoAugment",
        "policies": [
            [{"type": "Resize", "img_scale": SCALES, "multiscale_mode": "value", "keep_ratio": True}],
            [
                {"type": "Resize", "img_scale": [(40, 133), (60, 133)], "multiscale_mode": "value"},
                {"type": "RandomCrop", "crop_type": "absolute_range", "crop_size": (38, 60)},
                {"type": "Resize", "img_scale": SCALES, "multiscale_mode": "value", "override": True},
            ],
        ],
    },
    NORMALIZE,
    {"type": "Pad", "size_divisor": 1},
    *FORMAT,
]
SCP_LOADING = [
    *LOAD_MASKS,
    {"type": "Resize", "img_scale": SIZE, "ratio_range": (0.8, 1.25), "multiscale_mode": "range", "keep_ratio": True},
    {"type": "RandomCrop", "crop_type": "absolute_range", "crop_size": SIZE, "recompute_bbox": True},
    {"type": "FilterAnnotations", "min_gt_bbox_wh": (1e-2, 1e-2)},
    FLIP,
    {"type": "Pad", "size": SIZE},
]
SCP = [{"type": "CopyPaste", "max_num_pasted": 100}, NORMALIZE]
ALBU = [
    *LOAD_MASKS,
    {"type": "Resize", "img_scale": SIZE, "keep_ratio": True},
    {"type": "Pad", "size_divisor": 32},
    {
        "type": "Albu",
        "transforms": [
            {"type": "ShiftScaleRotate", "shift_limit": 0.0625, "scale_limit": 0.0, "rotate_limit": 0, "p": 0.5},
            {
                "type": "RandomBrightnessContrast",
                "brightness_limit": [0.1, 0.3],
                "contrast_limit": [0.1, 0.3],
                "p": 0.2,
            },
            {"type": "OneOf", "transforms": [{"type": "RGBShift", "p": 1.0}, {"type": "HueSaturationValue"}], "p": 0.1},
            {"type": "JpegCompression", "quality_lower": 85, "quality_upper": 95, "p": 0.2},
            {"type": "ChannelShuffle", "p": 0.1},
            {"type": "OneOf", "transforms": [{"type": "Blur", "blur_limit": 3}, {"type": "MedianBlur"}], "p": 0.1},
        ],
        "bbox_params": {
            "type": "BboxParams",
            "format": "pascal_voc",
            "label_fields": ["gt_labels"],
            "min_visibility": 0.0,
            "filter_lost_elements": True,
        },
        "keymap": {"img": "image", "gt_masks": "masks", "gt_bboxes": "bboxes"},
        "update_pad_shape": False,
        "skip_img_without_anno": True,
    },
    NORMALIZE,
    FLIP,
    {"type": "DefaultFormatBundle"},
    {
        "type": "Collect",
        "keys": [*BOXES, "gt_masks"],
        "meta_keys": ("filename", "ori_shape", "img_shape", "img_norm_cfg", "pad_shape", "scale_factor"),
    },
]


def nuclei(pipeline: list[Any], mixing: list[Any] | None = None) -> dict[str, Any]:
    """The dict of a data set."""
    inner = {
        "type": "CocoDataset",
        "ann_file": str(NUCLEI / "instances_train.json"),
        "img_prefix": str(NUCLEI / "images"),
        "classes": ("nucleus",),
        "pipeline": pipeline,
    }
    return inner if mixing is None else {"type": "MultiImageMixDataset", "dataset": inner, "pipeline": mixing}


CASES = {
    "yolox": nuclei(LOAD, YOLOX),
    "ssd": nuclei(SSD),
    "centernet": nuclei(CENTERNET),
    "detr": nuclei(DETR),
    "scp": nuclei(SCP_LOADING, [*SCP, *FORMAT_MASKS]),
    "albu": nuclei(ALBU),
}


@pytest.mark.parametrize("name", CASES)
def test_pipeline_gives_usable_batches_that_its_seed_decides(name: str) -> None:
    if name == "albu" and importlib.util.find_spec("albumentations") is None:
        pytest.skip("albumentations is not installed")
    dataset = build_dataset(CASES[name])
    draws = IndexPlan.of(dataset, 6, seed=3).draws(1, 0, 0)
    batch, again = (to_device(BatchReader(dataset)(draws), "cpu") for _ in range(2))
    assert torch.equal(batch["img"], again["img"])
    assert batch["img"].dtype == torch.float32
    assert torch.isfinite(batch["img"]).all()
    assert sum(len(boxes) for boxes in batch["gt_bboxes"]) > 0
    for i, meta in enumerate(batch["img_metas"]):
        check_objects(batch, i, meta["pad_shape"][:2])


def check_objects(batch: dict[str, Any], i: int, shape: tuple[int, int]) -> None:
    """Boxes are sound, inside the image and as many as labels and masks."""
    boxes, labels = batch["gt_bboxes"][i], batch["gt_labels"][i]
    assert boxes.dtype == torch.float32
    assert len(boxes) == len(labels)
    assert (boxes[:, 2:] >= boxes[:, :2]).all()
    assert (boxes >= 0).all()
    assert (boxes[:, 0::2] <= shape[1]).all()
    assert (boxes[:, 1::2] <= shape[0]).all()
    if "gt_masks" in batch:
        masks = batch["gt_masks"][i]
        assert isinstance(masks, BitmapMasks)
        assert masks.masks.shape == (len(boxes), *shape)


def test_images_of_detr_and_yolox_travel_as_bytes() -> None:
    for name in ("detr", "yolox"):
        assert BatchReader(build_dataset(CASES[name])).norm_spec is not None


def test_objects_stay_on_their_nuclei_through_yolox() -> None:
    """Nuclei are brighter than what surrounds them, or darker; either way boxes differ from the background."""
    dataset = build_dataset(nuclei(LOAD, YOLOX[:6]))
    contrasts = []
    for i in range(12):
        np.random.seed(i)
        sample = dataset[i % len(dataset)]
        grey = sample["img"].mean(axis=2)
        for x1, y1, x2, y2 in sample["gt_bboxes"].astype(int):
            if min(x2 - x1, y2 - y1) >= 6:
                center = grey[(y1 + y2) // 2, (x1 + x2) // 2]
                contrasts.append(abs(center - np.median(grey)) > 8)
    assert len(contrasts) > 20
    assert np.mean(contrasts) > 0.6


@pytest.mark.parametrize("name", CASES)
def test_configs_of_the_pipelines_are_found_sound(name: str) -> None:
    assert check_config(Config({"data": {"train": CASES[name]}})) == []
