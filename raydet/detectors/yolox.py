"""YOLOX's detector: one dense head, and images of changing size in training."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from raydet.detectors.base import BaseDetector
from raydet.detectors.single_stage import OneHead
from raydet.structures import Batch, GroundTruth

Size = tuple[int, int]


class YOLOX(OneHead, BaseDetector):
    """A single-stage detector that resizes whole training batches (arXiv:2107.08430).

    Args:
        backbone: part or dict.
        neck: part or dict.
        bbox_head: part or dict.
        train_cfg: settings of the head's training.
        test_cfg: settings of the head's prediction.
        pretrained: deprecated: checkpoint of the backbone; use its `init_cfg`.
        input_size: `(height, width)` that batches come with.
        size_multiplier: heights are multiples of this.
        random_size_range: smallest and largest height, in multiples.
        random_size_interval: iterations between draws, which are the same on all ranks.
        init_cfg: weight initialisation.
    """

    def __init__(
        self,
        backbone: Any,
        neck: Any,
        bbox_head: Any,
        train_cfg: Mapping[str, Any] | None = None,
        test_cfg: Mapping[str, Any] | None = None,
        pretrained: str | None = None,
        input_size: Size = (640, 640),
        size_multiplier: int = 32,
        random_size_range: tuple[int, int] = (15, 25),
        random_size_interval: int = 10,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(backbone, neck, bbox_head, train_cfg, test_cfg, pretrained, init_cfg)
        self.input_size = input_size
        self.size_multiplier = size_multiplier
        self.random_size_range = random_size_range
        self.random_size_interval = random_size_interval
        self._size = tuple(input_size)
        self._iterations = 0

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Losses of the batch at the present size; every so often the next size is drawn afterwards."""
        losses = super().loss(self._resized(batch))
        self._iterations += 1
        if self._iterations % self.random_size_interval == 0:
            self._size = _of_rank_0(self._draw(), batch.images.device)
        return losses

    def training_state(self) -> dict[str, Any]:
        """What a resumed run needs besides the weights."""
        return {"size": list(self._size), "iterations": self._iterations}

    def load_training_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `training_state` gave."""
        self._size = tuple(state["size"])
        self._iterations = int(state["iterations"])

    def _draw(self) -> Size:
        units = random.randint(*self.random_size_range)
        height, width = self.input_size
        return self.size_multiplier * units, self.size_multiplier * int(width / height * units)

    def _resized(self, batch: Batch) -> Batch:
        """The batch with images of the present size, boxes in proportion to the change of `input_size`."""
        if self._size == tuple(self.input_size):
            return batch
        assert batch.truths is not None
        tall, wide = (now / usual for now, usual in zip(self._size, self.input_size, strict=True))
        scale = batch.images.new_tensor([wide, tall, wide, tall])
        images = F.interpolate(batch.images, size=self._size, mode="bilinear", align_corners=False)
        return replace(batch, images=images, truths=[_scaled(truth, scale) for truth in batch.truths])


def _scaled(truth: GroundTruth, scale: Tensor) -> GroundTruth:
    ignored = None if truth.ignored is None else truth.ignored * scale
    return replace(truth, boxes=truth.boxes * scale, ignored=ignored)


def _of_rank_0(size: Sequence[int], device: torch.device) -> Size:
    """The size that the first process has drawn."""
    if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
        return size[0], size[1]
    shared = torch.tensor(size, device=device)
    dist.broadcast(shared, src=0)
    return int(shared[0]), int(shared[1])
