"""The peer of `bench_data.py`: a detection pipeline as torchvision's references compose one, out of its v2 transforms.

Decoding by Pillow, boxes as `tv_tensors`, all that follows on uint8 tensors until the last steps turn them to floats.
Its own references resize and normalise inside the model, on floats, which is slower; Mosaic and MixUp it does not have,
so that they are written here with its functions.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import pad
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

Sample = tuple[Tensor, dict[str, Tensor]]
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
FLOATS = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]
CLEAN = [v2.SanitizeBoundingBoxes(labels_getter=lambda sample: sample[1]["labels"]), v2.ToPureTensor()]


class TorchvisionDataset(torch.utils.data.Dataset[Sample]):
    """Samples of a raydet data set, read and transformed by torchvision.

    Args:
        dataset: gives file names and annotations.
        mixed: Mosaic, MixUp and colour jitter on squares of `scale`; else resize and flip.
        scale: (long edge, short edge), or (width, height) of the squares.
    """

    def __init__(self, dataset: Any, mixed: bool, scale: tuple[int, int]) -> None:
        self._dataset = dataset
        self._mixed = mixed
        self._side = scale[0]
        first = [] if mixed else [v2.Resize(min(scale), max_size=max(scale))]
        jitter = [v2.ColorJitter(brightness=0.12, saturation=0.12, hue=0.03)] if mixed else []
        self._transforms = v2.Compose([*first, *jitter, v2.RandomHorizontalFlip(0.5), *FLOATS, *CLEAN])

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> Sample:
        sample = self._mixed_up(self._mosaic(index)) if self._mixed else self._load(index)
        transformed: Sample = self._transforms(*sample)
        return transformed

    def _load(self, index: int) -> Sample:
        with Image.open(self._dataset.filename(index)) as file:
            image = functional.pil_to_tensor(file.convert("RGB"))
        info = self._dataset.get_ann_info(index)
        size: Any = image.shape[-2:]
        boxes = tv_tensors.BoundingBoxes(info["bboxes"], format="XYXY", canvas_size=size)
        return tv_tensors.Image(image), {"boxes": boxes, "labels": torch.as_tensor(info["labels"])}

    def _mosaic(self, index: int) -> Sample:
        """Four images around the center, then scaled and moved at random into a square of `side`."""
        side, corners = self._side, []
        canvas = torch.full((3, 2 * side, 2 * side), 114, dtype=torch.uint8)
        for corner, each in enumerate([index, *random.choices(range(len(self)), k=3)]):
            image, target = _fitted(self._load(each), side)
            height, width = image.shape[-2:]
            left, top = (side if corner % 2 else side - width), (side if corner > 1 else side - height)
            canvas[:, top : top + height, left : left + width] = image
            moved = target["boxes"].as_subclass(Tensor) + torch.tensor([left, top, left, top])
            corners.append((moved, target["labels"]))
        size: Any = canvas.shape[-2:]
        found = torch.cat([boxes for boxes, _ in corners])
        boxes = tv_tensors.BoundingBoxes(found, format="XYXY", canvas_size=size)
        target = {"boxes": boxes, "labels": torch.cat([labels for _, labels in corners])}
        affine = v2.RandomAffine(10, translate=(0.1, 0.1), scale=(0.5, 1.5), shear=2, fill=114)
        image, target = affine(tv_tensors.Image(canvas), target)
        cropped: Sample = v2.CenterCrop(side)(image, target)
        return cropped

    def _mixed_up(self, sample: Sample) -> Sample:
        other, target = _fitted(self._load(random.randrange(len(self))), self._side)
        image = sample[0]
        window = torch.zeros_like(image)
        window[:, : other.shape[1], : other.shape[2]] = other
        mean = (image.to(torch.int16) + window).div_(2, rounding_mode="floor").to(torch.uint8)
        found = torch.cat([sample[1]["boxes"], target["boxes"]])
        size: Any = image.shape[-2:]
        boxes = tv_tensors.BoundingBoxes(found, format="XYXY", canvas_size=size)
        labels = torch.cat([sample[1]["labels"], target["labels"]])
        return tv_tensors.Image(mean), {"boxes": boxes, "labels": labels}


def _fitted(sample: Sample, side: int) -> Sample:
    fitted: Sample = v2.Resize(side - 1, max_size=side)(*sample)
    return fitted


def collate(samples: list[Sample]) -> tuple[Tensor, list[dict[str, Tensor]]]:
    """Images padded to the largest, and to a multiple of 32, as the reference models do."""
    height, width = (int(-(-size // 32) * 32) for size in np.max([each.shape[-2:] for each, _ in samples], axis=0))
    padded = [pad(each, (0, width - each.shape[2], 0, height - each.shape[1])) for each, _ in samples]
    return torch.stack(padded), [target for _, target in samples]
