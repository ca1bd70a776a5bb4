"""What SOLO and its kin share: instances are told apart by the cell of a grid that their center lies in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from raydet.heads.mask.grid_results import best_masks, peaks
from raydet.heads.mask.grid_targets import Grid, GridAssigner, GridTargets
from raydet.heads.mask.sizes import Size, resized
from raydet.heads.settings import Prediction
from raydet.layers import BaseModule, ConvModule
from raydet.registry import LOSSES
from raydet.structures import Batch, Detections, ImageMeta

GROUP_NORM = {"type": "GN", "num_groups": 32, "requires_grad": True}
SCALES = ((8, 32), (16, 64), (32, 128), (64, 256), (128, 512))
Maps = tuple[Any, ...]


def rare(*predictors: str) -> list[dict[str, Any]]:
    """Initialisation in which these predictors start at probability 0.01."""
    start = {"type": "Normal", "std": 0.01, "bias_prob": 0.01}
    return [
        {"type": "Normal", "layer": "Conv2d", "std": 0.01},
        *({**start, "override": {"name": name}} for name in predictors),
    ]


class GridMaskHead(BaseModule, ABC):
    """A grid per level; each cell says which class an object centered there has, and gives its mask.

    A subclass builds its layers and says in which form masks are predicted.

    Args:
        num_classes: `K`.
        in_channels: of the feature maps.
        feat_channels: of the towers.
        stacked_convs: depth of the towers.
        strides: pixels per cell of the feature maps, once the first and the last are resized to their neighbours.
        scale_ranges: smallest and largest object of each level, as the square root of its box's area.
        pos_scale: part of an object's box, around its center, whose cells learn it.
        num_grids: cells on each side of the grid of each level.
        cls_down_index: convolution of the class tower before which the map is resized to the grid.
        loss_mask: part or dict.
        loss_cls: part or dict.
        norm_cfg: normalisation of the towers.
        train_cfg: without effect.
        test_cfg: `score_thr`, `mask_thr`, `nms_pre`, `filter_thr`, `kernel`, `sigma`, `max_per_img`, see
            `raydet.geometry.mask_matrix_nms`.
        init_cfg: weight initialisation.

    Attributes:
        several: a cell learns the masks of all objects near it, otherwise that of one.

    Raises:
        ValueError: other numbers of strides, scale ranges and grids.
    """

    several = False
    conv_cls: nn.Conv2d

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        feat_channels: int = 256,
        stacked_convs: int = 4,
        strides: Sequence[int] = (4, 8, 16, 32, 64),
        scale_ranges: Sequence[tuple[float, float]] = SCALES,
        pos_scale: float = 0.2,
        num_grids: Sequence[int] = (40, 36, 24, 16, 12),
        cls_down_index: int = 0,
        loss_mask: Any = None,
        loss_cls: Any = None,
        norm_cfg: Any = GROUP_NORM,
        train_cfg: Mapping[str, Any] | None = None,
        test_cfg: Mapping[str, Any] | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        if not len(strides) == len(scale_ranges) == len(num_grids):
            raise ValueError(
                f"strides, scale_ranges and num_grids need one entry per level, got {len(strides)}, "
                f"{len(scale_ranges)} and {len(num_grids)}"
            )
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.feat_channels = feat_channels
        self.stacked_convs = stacked_convs
        self.strides = tuple(strides)
        self.scale_ranges = tuple(scale_ranges)
        self.pos_scale = pos_scale
        self.num_grids = tuple(num_grids)
        self.cls_down_index = cls_down_index
        self.norm_cfg = norm_cfg
        self.build_layers()
        self.conv_cls = nn.Conv2d(feat_channels, num_classes, 3, padding=1)
        self.loss_mask = LOSSES.build(loss_mask)
        self.loss_cls = LOSSES.build(loss_cls)
        self.test_config = Prediction.read(test_cfg)

    # What a subclass states

    @abstractmethod
    def build_layers(self) -> None:
        """Add all layers but `conv_cls`."""

    @abstractmethod
    def forward(self, feats: Sequence[Tensor]) -> Maps:
        """Raw predictions in the order of 2.x."""

    @abstractmethod
    def class_maps(self, maps: Maps) -> list[Tensor]:
        """Class logits `(N, K, g, g)` of each level."""

    @abstractmethod
    def mask_size(self, maps: Maps, level: int) -> Size:
        """`(h, w)` of the masks of a level."""

    @abstractmethod
    def masks(self, maps: Maps, level: int, image: int, cells: Tensor) -> Tensor:
        """`(M, h, w)` masks of some cells, as the mask loss takes them."""

    @abstractmethod
    def probabilities(self, maps: Maps, level: int, image: int, cells: Tensor, size: Size) -> Tensor:
        """`(M, *size)` masks of some cells, between 0 and 1."""

    @property
    def mask_strides(self) -> tuple[float, ...]:
        """Pixels of the image per pixel of a mask, level by level."""
        return tuple(stride / 2 for stride in self.strides)

    @property
    def fine_stride(self) -> int:
        """Pixels of the image per pixel of the finest masks."""
        return 4

    # Layers

    def tower(self, extra_channels: int = 0, last_conv_cfg: Any = None, conv_cfg: Any = None) -> nn.ModuleList:
        """Convolutions over the features, and over some coordinates with them."""
        kinds = [conv_cfg] * self.stacked_convs
        if last_conv_cfg is not None:
            kinds[-1] = last_conv_cfg
        first = self.in_channels + extra_channels
        return nn.ModuleList(
            ConvModule(
                self.feat_channels if i else first,
                self.feat_channels,
                3,
                padding=1,
                conv_cfg=kind,
                norm_cfg=self.norm_cfg,
            )
            for i, kind in enumerate(kinds)
        )

    def classes(self, feature: Tensor, convs: nn.ModuleList, level: int) -> Tensor:
        """Class logits `(N, K, g, g)` of one level."""
        for index, conv in enumerate(convs):
            if index == self.cls_down_index:
                feature = resized(feature, (self.num_grids[level],) * 2)
            feature = conv(feature)
        logits: Tensor = self.conv_cls(feature)
        return logits

    # Training

    def loss(self, feats: Sequence[Tensor], batch: Batch) -> dict[str, Tensor]:
        """The losses of a batch with ground truth."""
        maps = self(feats)
        targets = self.targets(maps, batch)
        count = torch.stack([level.num_cells for image in targets for level in image]).sum()
        losses = [
            self.loss_mask(self.masks(maps, i, n, level.cells).float(), level.masks, reduction_override="none")
            for n, image in enumerate(targets)
            for i, level in enumerate(image)
        ]
        logits = torch.cat([level.flatten(2).transpose(1, 2) for level in self.class_maps(maps)], dim=1)
        labels = torch.cat([level.labels for image in targets for level in image])
        return {
            "loss_mask": torch.cat(losses).sum() / count.clamp(min=1),
            "loss_cls": self.loss_cls(logits.flatten(0, 1).float(), labels, avg_factor=count + 1),
        }

    def targets(self, maps: Maps, batch: Batch) -> list[list[GridTargets]]:
        """What every level learns of every image."""
        assert batch.truths is not None
        sizes = [self.mask_size(maps, level) for level in range(len(self.num_grids))]
        columns = zip(self.num_grids, self.scale_ranges, sizes, self.mask_strides, strict=True)
        grids = [Grid(*column) for column in columns]
        extent = (sizes[0][0] * self.fine_stride, sizes[0][1] * self.fine_stride)
        images = [GridAssigner(truth, self.num_classes, extent, self.pos_scale, self.several) for truth in batch.truths]
        return [[image.targets(grid) for grid in grids] for image in images]

    # Inference

    @torch.no_grad()
    def predict(self, feats: Sequence[Tensor], metas: Sequence[ImageMeta], rescale: bool = False) -> list[Detections]:
        """Masks of every image, without boxes; of the size of the original image when `rescale`."""
        maps = self(feats)
        scores = [peaks(level.float().sigmoid()) for level in self.class_maps(maps)]
        found = []
        for image, meta in enumerate(metas):
            masks, labels, rated = self._candidates(maps, [level[image] for level in scores], image)
            found.append(best_masks(masks, labels, rated, meta, rescale, self.fine_stride, self.test_config))
        return found

    def _candidates(self, maps: Maps, scores: Sequence[Tensor], image: int) -> tuple[Tensor, Tensor, Tensor]:
        """Masks of one image between 0 and 1, their classes and scores, of all cells that are sure enough."""
        size = self.mask_size(maps, 0)
        threshold = self.test_config.extra.get("mask_thr", 0.5)
        parts = []
        for level, values in enumerate(scores):
            table = values.flatten(1).t()
            cells, labels = (table > self.test_config.score_thr).nonzero(as_tuple=True)
            masks = self.probabilities(maps, level, image, cells, size)
            inside = masks > threshold
            area = inside.sum(dim=(1, 2))
            sure = (masks * inside).sum(dim=(1, 2)) / area.clamp(min=1)
            kept = area > self.strides[level]
            parts.append((masks[kept], labels[kept], (table[cells, labels] * sure)[kept]))
        masks, labels, rated = (torch.cat(column) for column in zip(*parts, strict=True))
        return masks, labels, rated


def run(convs: nn.ModuleList, feature: Tensor) -> Tensor:
    """One convolution after the other."""
    for conv in convs:
        feature = conv(feature)
    return feature
