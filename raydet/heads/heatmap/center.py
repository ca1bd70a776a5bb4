"""CenterNet: an object is a peak at its center."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from raydet.geometry import (
    flip_tensor,
    gaussian_radius,
    gen_gaussian_target,
    get_local_maximum,
    get_topk_from_heatmap,
    transpose_and_gather_feat,
)
from raydet.heads.dense.candidates import suppress
from raydet.heads.heatmap.peaks import batch_ratio, cells, joined, on_image, pairs_of_views
from raydet.heads.settings import Prediction
from raydet.layers import BaseModule, bias_init_with_prob
from raydet.registry import LOSSES
from raydet.structures import Batch, Detections, ImageMeta

HEATMAP_LOSS = {"type": "GaussianFocalLoss", "loss_weight": 1.0}
SIZE_LOSS = {"type": "L1Loss", "loss_weight": 0.1}
OFFSET_LOSS = {"type": "L1Loss", "loss_weight": 1.0}


class CenterNetHead(BaseModule):
    """Heatmaps of centers, one per class; at each cell a width and height, and where in the cell (arXiv:1904.07850).

    Args:
        in_channel: of the feature map.
        feat_channel: of the layer before the predictions.
        num_classes: `K`.
        loss_center_heatmap: part or dict.
        loss_wh: part or dict.
        loss_offset: part or dict.
        train_cfg: without effect.
        test_cfg: `topk`, `local_maximum_kernel`; with several views also `max_per_img` and `nms`.
        init_cfg: must be None; the head starts as the paper does.
    """

    def __init__(
        self,
        in_channel: int,
        feat_channel: int,
        num_classes: int,
        loss_center_heatmap: Any = HEATMAP_LOSS,
        loss_wh: Any = SIZE_LOSS,
        loss_offset: Any = OFFSET_LOSS,
        train_cfg: Mapping[str, Any] | None = None,
        test_cfg: Mapping[str, Any] | None = None,
        init_cfg: Any = None,
    ) -> None:
        if init_cfg is not None:
            raise ValueError(f"CenterNetHead starts in its own way; leave init_cfg out, got {init_cfg!r}")
        super().__init__(init_cfg)
        self.num_classes = num_classes
        self.heatmap_head = _predictor(in_channel, feat_channel, num_classes)
        self.wh_head = _predictor(in_channel, feat_channel, 2)
        self.offset_head = _predictor(in_channel, feat_channel, 2)
        self.loss_center_heatmap = LOSSES.build(loss_center_heatmap)
        self.loss_wh = LOSSES.build(loss_wh)
        self.loss_offset = LOSSES.build(loss_offset)
        self.test_config = Prediction.read(test_cfg)

    def init_weights(self) -> None:
        """Centers start at probability 0.1; sizes and offsets near 0."""
        nn.init.constant_(self.heatmap_head.get_parameter("2.bias"), bias_init_with_prob(0.1))
        for head in (self.wh_head, self.offset_head):
            for name, values in head.named_parameters():
                nn.init.normal_(values, std=0.001) if name.endswith("weight") else nn.init.zeros_(values)

    def forward(self, feats: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Probabilities of centers, sizes and offsets, each a list of one map `(N, C, H, W)`."""
        (feat,) = feats
        return [self.heatmap_head(feat).sigmoid()], [self.wh_head(feat)], [self.offset_head(feat)]

    # Training

    def loss(self, feats: Sequence[Tensor], batch: Batch) -> dict[str, Tensor]:
        """The losses of a batch with ground truth."""
        heat, size, offset = (maps[0].float() for maps in self(feats))
        bumps, sides, rests = (torch.zeros_like(values) for values in (heat, size, offset))
        learns = size.new_zeros(len(size), 1, *size.shape[-2:])
        _fill_targets(bumps, sides, rests, learns, batch)
        count = bumps.eq(1).sum().clamp(min=1)
        return {
            "loss_center_heatmap": self.loss_center_heatmap(heat, bumps, avg_factor=count),
            "loss_wh": self.loss_wh(size, sides, learns.expand_as(size), avg_factor=count * 2),
            "loss_offset": self.loss_offset(offset, rests, learns.expand_as(offset), avg_factor=count * 2),
        }

    # Inference

    @torch.no_grad()
    def predict(self, feats: Sequence[Tensor], metas: Sequence[ImageMeta], rescale: bool = False) -> list[Detections]:
        """The highest peaks of every image, in pixels of the original image when `rescale`."""
        heat, size, offset = (maps[0].float() for maps in self(feats))
        found = self.decode(heat, size, offset, metas)
        return [on_image(each, meta, rescale) for each, meta in zip(found, metas, strict=True)]

    def decode(self, heat: Tensor, size: Tensor, offset: Tensor, metas: Sequence[ImageMeta]) -> list[Detections]:
        """The highest peaks of every image, best first, in pixels of the network input."""
        options = self.test_config.extra
        peaks = get_local_maximum(heat, options.get("local_maximum_kernel", 3))
        scores, places, labels, rows, columns = get_topk_from_heatmap(peaks, options.get("topk", 100))
        sides, rest = (transpose_and_gather_feat(values, places) for values in (size, offset))
        centers = torch.stack([columns, rows], dim=-1) + rest
        height, width = metas[0].batch_input_shape or metas[0].pad_shape[:2]
        pixels = heat.new_tensor([width / heat.shape[-1], height / heat.shape[-2]])
        boxes = torch.cat([(centers - sides / 2) * pixels, (centers + sides / 2) * pixels], dim=-1)
        return [Detections(boxes[n], scores[n], labels[n]) for n in range(len(heat))]

    @torch.no_grad()
    def predict_augmented(
        self, feats: Sequence[Sequence[Tensor]], metas: Sequence[ImageMeta], rescale: bool = False
    ) -> Detections:
        """Detections of one image: a view and its mirror image share their maps, all views their detections."""
        found = []
        for plain, mirrored in pairs_of_views(metas):
            one, other = ([maps[0].float() for maps in self(feats[view])] for view in (plain, mirrored))
            direction = metas[mirrored].flip_direction or "horizontal"
            heat, size = ((a + flip_tensor(b, direction)) / 2 for a, b in zip(one[:2], other[:2], strict=True))
            meta = metas[plain]
            found.append(on_image(self.decode(heat, size, one[2], [meta])[0], meta, rescale))
        return joined(found) if self.test_config.nms is None else suppress(joined(found), self.test_config)


def _fill_targets(heat: Tensor, size: Tensor, offset: Tensor, learns: Tensor, batch: Batch) -> None:
    """Put bumps at the centers, and sizes and offsets into their cells; the last object of a cell wins."""
    assert batch.truths is not None
    ratio = batch_ratio(heat.shape[-2:], batch.metas[0], heat)
    for image, truth in enumerate(batch.truths):
        cell, rest = cells((truth.boxes[:, :2] + truth.boxes[:, 2:]) / 2, ratio)
        sides = (truth.boxes[:, 2:] - truth.boxes[:, :2]) * ratio
        for g, (x, y) in enumerate(cell.tolist()):
            radius = max(0, int(gaussian_radius(sides[g].flip(0).tolist(), min_overlap=0.3)))
            gen_gaussian_target(heat[image, truth.labels[g]], (x, y), radius)
            size[image, :, y, x], offset[image, :, y, x], learns[image, :, y, x] = sides[g], rest[g], 1.0


def _predictor(in_channels: int, channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(channels, out_channels, 1)
    )
