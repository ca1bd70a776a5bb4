"""Images from elsewhere than one file: from a camera, and from one file per channel."""

from __future__ import annotations

import os.path as osp
from collections.abc import Mapping
from typing import Any

import numpy as np

from raydet.transforms.base import Results, Transform
from raydet.transforms.files import DISK, read_image
from raydet.transforms.loading import LoadImageFromFile, enter_image


class LoadImageFromWebcam(LoadImageFromFile):
    """Take the image that stands in the sample as `img`; of the arguments only `to_float32` counts."""

    def apply(self, results: Results, params: None) -> Results:
        image = results["img"]
        return enter_image(results, image.astype(np.float32) if self.to_float32 else image, None, None)


class LoadMultiChannelImageFromFiles(Transform):
    """Read a list of files of one size, `img_info["filename"]` below `img_prefix`, as the channels of one image.

    Args:
        to_float32: convert to float32.
        color_type: as for `LoadImageFromFile`.
        file_client_args: where files lie.
    """

    def __init__(
        self, to_float32: bool = False, color_type: str = "unchanged", file_client_args: Mapping[str, Any] = DISK
    ) -> None:
        self.to_float32 = to_float32
        self.color_type = color_type
        self.file_client_args = dict(file_client_args)

    def apply(self, results: Results, params: None) -> Results:
        names, prefix = results["img_info"]["filename"], results.get("img_prefix")
        paths = [name if prefix is None else osp.join(prefix, name) for name in names]
        channels = [read_image(path, self.color_type, file_client_args=self.file_client_args) for path in paths]
        sizes = {path: channel.shape for path, channel in zip(paths, channels, strict=True)}
        if len(set(sizes.values())) != 1:
            raise ValueError(f"the files of one image must have one size, got {sizes}")
        image = np.stack(channels, axis=-1)
        enter_image(results, image.astype(np.float32) if self.to_float32 else image, paths, names)
        count = 1 if image.ndim < 3 else image.shape[2]
        zero, one = np.zeros(count, np.float32), np.ones(count, np.float32)
        results.update(pad_shape=image.shape, scale_factor=1.0)
        results["img_norm_cfg"] = {"mean": zero, "std": one, "to_rgb": False}
        return results
