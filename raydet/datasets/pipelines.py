"""Changes to pipelines that are still dicts."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from raydet.datasets.log import say_once

_LOADING = ("LoadImageFromFile", "LoadMultiChannelImageFromFiles", "LoadAnnotations", "LoadPanopticAnnotations")


def replace_ImageToTensor(pipelines: Sequence[Mapping[str, Any]]) -> list[Any]:  # noqa: N802
    """A test pipeline for batches of several images: `DefaultFormatBundle` in the place of `ImageToTensor`."""
    replaced = [copy.deepcopy(each) for each in pipelines]
    for position, each in enumerate(replaced):
        if each["type"] == "MultiScaleFlipAug":
            each["transforms"] = replace_ImageToTensor(each["transforms"])  # type: ignore[index]
        elif each["type"] == "ImageToTensor":
            say_once("ImageToTensor is replaced by DefaultFormatBundle, so that images can be batched at test time")
            replaced[position] = {"type": "DefaultFormatBundle"}
    return replaced


def get_loading_pipeline(pipeline: Sequence[Mapping[str, Any]]) -> list[Any]:
    """The steps of a pipeline that load image and annotation."""
    loading = [each for each in pipeline if each["type"] in _LOADING]
    kinds = [each["type"] for each in loading]
    if len(loading) != 2 or ("LoadAnnotations" not in kinds and "LoadPanopticAnnotations" not in kinds):
        raise ValueError(f"expected one step that loads images and one that loads annotations, found {kinds}")
    return loading
