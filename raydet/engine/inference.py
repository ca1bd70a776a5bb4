"""Detecting objects in images, from Python."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from raydet.checkpoint import load_checkpoint
from raydet.config import Config
from raydet.datasets import collate, replace_ImageToTensor, to_device
from raydet.engine.hooks.rf_search import restore_rates, rfnext_init_model
from raydet.engine.testing import without_pretraining
from raydet.evaluation import get_classes
from raydet.transforms import Compose

Image = str | Path | np.ndarray


def init_detector(
    config: str | Path | Config,
    checkpoint: str | Path | None = None,
    device: str = "cuda:0",
    cfg_options: Mapping[str, Any] | None = None,
) -> nn.Module:
    """Build a detector from a config and load its weights.

    Args:
        config: config, or its file.
        checkpoint: weights; random ones when None.
        device: where the model goes.
        cfg_options: changes to the config by dotted key.

    Returns:
        The model in evaluation mode; `model.cfg` is the config, `model.CLASSES` the names of the checkpoint.

    Raises:
        TypeError: `config` is neither a file nor a Config.
    """
    from raydet.models import build_detector

    if isinstance(config, (str, Path)):
        config = Config.fromfile(str(config))
    elif not isinstance(config, Config):
        raise TypeError(f"config must be a file name or a Config, got {type(config).__name__}")
    config = copy.deepcopy(config)
    if cfg_options is not None:
        config.merge_from_dict(cfg_options)
    config.model = without_pretraining(config.model)
    config.model["train_cfg"] = None
    model: Any = build_detector(config.model)
    rfnext_init_model(model, config)
    if checkpoint is not None:
        loaded = load_checkpoint(model, checkpoint, map_location="cpu")
        model.CLASSES = _classes_of(loaded)
        restore_rates(model, loaded.get("meta") or {})
    model.cfg = config
    model.to(device)
    return model.eval()  # type: ignore[no-any-return]


def inference_detector(model: nn.Module, imgs: Image | Sequence[Image]) -> Any:
    """Detect objects in one or several images.

    Args:
        model: from `init_detector`.
        imgs: file name or `(H, W, 3)` BGR array, or a list of either; a list is run as one batch.

    Returns:
        The 2.x result of the image; for a list, a list of results.

    Raises:
        TypeError: something else was given.
    """
    several = isinstance(imgs, (list, tuple))
    images: Sequence[Image] = imgs if several else [imgs]  # type: ignore[assignment, list-item]
    if not images:
        return []
    for image in images:
        if not isinstance(image, (str, Path, np.ndarray)):
            raise TypeError(f"an image is a file name or an array, got {type(image).__name__}")
    pipeline = _pipeline(model.cfg)  # type: ignore[arg-type]
    batch = collate([_sample(image, pipeline) for image in images])
    device = next(model.parameters()).device
    with torch.no_grad():
        results = model(return_loss=False, rescale=True, **to_device(batch, device))
    return results if several else results[0]


def _sample(image: Image, pipeline: Compose) -> Any:
    """The sample of one image: a file goes through the whole pipeline, an array past its first step, which reads."""
    if not isinstance(image, np.ndarray):
        return pipeline({"img_info": {"filename": str(image)}, "img_prefix": None})
    if image.ndim not in (2, 3) or image.size == 0:
        raise ValueError(f"an image array has the shape (H, W, 3) or (H, W), got {image.shape}")
    shape = image.shape
    image = image.astype(np.float32) if getattr(pipeline.transforms[0], "to_float32", False) else image
    names = {"filename": None, "ori_filename": None, "img_shape": shape, "ori_shape": shape, "img_fields": ["img"]}
    return Compose(pipeline.transforms[1:])({"img": image, **names})


def _pipeline(cfg: Config) -> Compose:
    """The test pipeline of a config, for batches of any size."""
    section = cfg.data["test"]
    while isinstance(section, (list, tuple)):
        section = section[0]
    return Compose(replace_ImageToTensor(section["pipeline"]))


def _classes_of(checkpoint: Mapping[str, Any]) -> Sequence[str]:
    classes = (checkpoint.get("meta") or {}).get("CLASSES")
    if classes is not None:
        return tuple(classes)
    warnings.warn("the checkpoint does not name its classes; those of COCO are used", UserWarning)
    return tuple(get_classes("coco"))
