"""The configs of data sets name types, pipelines and arguments that exist."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from raydet.config import Config
from raydet.registry import DATASETS, TRANSFORMS, accepted_arguments

FOLDER = Path(__file__).parents[2] / "configs" / "_base_" / "datasets"
MASKS = ["bbox", "segm"]
NAMES = {
    "voc0712": ("VOCDataset", "mAP"),
    "wider_face": ("WIDERFaceDataset", "mAP"),
    "lvis_v0.5_instance": ("LVISV05Dataset", MASKS),
    "lvis_v1_instance": ("LVISV1Dataset", MASKS),
    "objects365v1_detection": ("Objects365V1Dataset", "bbox"),
    "objects365v2_detection": ("Objects365V2Dataset", "bbox"),
    "openimages_detection": ("OpenImagesDataset", "mAP"),
    "cityscapes_detection": ("CityscapesDataset", "bbox"),
    "cityscapes_instance": ("CityscapesDataset", MASKS),
    "deepfashion": ("DeepFashionDataset", MASKS),
}


def innermost(cfg: Mapping[str, Any]) -> Mapping[str, Any]:
    return innermost(cfg["dataset"]) if "dataset" in cfg else cfg


def transforms(pipeline: list[dict[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for transform in pipeline:
        yield transform
        yield from transforms(transform.get("transforms", []))


@pytest.mark.parametrize("name", NAMES)
def test_config_describes_train_val_and_test(name: str) -> None:
    kind, metric = NAMES[name]
    cfg = Config.fromfile(str(FOLDER / f"{name}.py"))
    for part in ("train", "val", "test"):
        dataset = innermost(cfg.data[part])
        assert dataset["type"] == kind
        assert {"ann_file", "img_prefix", "pipeline"} <= set(dataset)
        accepted, more = accepted_arguments(DATASETS.resolve(kind))
        assert more or set(dataset) - {"type"} <= set(accepted)
        assert dataset["pipeline"][0]["type"] == "LoadImageFromFile"
        for transform in transforms(dataset["pipeline"]):
            assert transform["type"] in TRANSFORMS
    assert cfg.evaluation.metric == metric
    assert ("gt_masks" in innermost(cfg.data.train)["pipeline"][-1]["keys"]) == (metric is MASKS)
