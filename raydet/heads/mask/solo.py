"""SOLO: a mask for every cell of a grid, predicted whole or as the product of a column and a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from raydet.heads.mask.grid import GridMaskHead, Maps, rare, run
from raydet.heads.mask.sizes import Size, doubled, neighbour_sizes, size_of, stretched, with_coordinates

WHOLE = rare("conv_mask_list", "conv_cls")
DECOUPLED = rare("conv_mask_list_x", "conv_mask_list_y", "conv_cls")


class SOLOHead(GridMaskHead):
    """One channel of masks for each cell (arXiv:1912.04488).

    Args:
        num_classes: `K`.
        in_channels: of the feature maps.
        init_cfg: weight initialisation.
        **kwargs: see `GridMaskHead`.
    """

    def __init__(self, num_classes: int, in_channels: int, init_cfg: Any = WHOLE, **kwargs: Any) -> None:
        super().__init__(num_classes, in_channels, init_cfg=init_cfg, **kwargs)

    def build_layers(self) -> None:
        self.mask_convs = self.tower(extra_channels=2)
        self.cls_convs = self.tower()
        self.conv_mask_list = nn.ModuleList(nn.Conv2d(self.feat_channels, grid**2, 1) for grid in self.num_grids)

    def forward(self, feats: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Logits of masks `(N, g^2, h, w)` and of classes `(N, K, g, g)`, level by level."""
        masks, classes = [], []
        for level, feature in enumerate(neighbour_sizes(feats)):
            base = doubled(run(self.mask_convs, with_coordinates(feature)))
            masks.append(self.conv_mask_list[level](base))
            classes.append(self.classes(feature, self.cls_convs, level))
        return masks, classes

    def class_maps(self, maps: Maps) -> list[Tensor]:
        return list(maps[1])

    def mask_size(self, maps: Maps, level: int) -> Size:
        return size_of(maps[0][level])

    def masks(self, maps: Maps, level: int, image: int, cells: Tensor) -> Tensor:
        logits: Tensor = maps[0][level][image, cells]
        return logits

    def probabilities(self, maps: Maps, level: int, image: int, cells: Tensor, size: Size) -> Tensor:
        return stretched(maps[0][level][image, cells], size)


class DecoupledMasks:
    """Masks that are the product of one of their cell's column and one of its row: mix it in before `GridMaskHead`."""

    num_grids: tuple[int, ...]
    feat_channels: int
    cls_convs: nn.ModuleList
    classes: Callable[..., Tensor]

    def sides(self, feature: Tensor) -> tuple[Tensor, Tensor]:
        """Maps `(N, C, 2h, 2w)` that the columns and the rows of a level are predicted from."""
        raise NotImplementedError

    def forward(self, feats: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Logits of columns and of rows `(N, g, h, w)`, and of classes `(N, K, g, g)`, level by level."""
        columns, rows, classes = [], [], []
        for level, feature in enumerate(neighbour_sizes(feats)):
            x, y = self.sides(feature)
            columns.append(self.conv_mask_list_x[level](x))
            rows.append(self.conv_mask_list_y[level](y))
            classes.append(self.classes(feature, self.cls_convs, level))
        return columns, rows, classes

    def add_predictors(self) -> None:
        """A convolution to the masks of the columns of each level, and one to those of the rows."""
        self.conv_mask_list_x = self._predictors()
        self.conv_mask_list_y = self._predictors()

    def _predictors(self) -> nn.ModuleList:
        return nn.ModuleList(nn.Conv2d(self.feat_channels, grid, 3, padding=1) for grid in self.num_grids)

    def class_maps(self, maps: Maps) -> list[Tensor]:
        """Class logits `(N, K, g, g)` of each level."""
        return list(maps[2])

    def mask_size(self, maps: Maps, level: int) -> Size:
        """`(h, w)` of the masks of a level."""
        return size_of(maps[0][level])

    def masks(self, maps: Maps, level: int, image: int, cells: Tensor) -> Tensor:
        """`(M, h, w)` probabilities of some cells; the mask loss must not activate them again."""
        columns, rows = self._of_cells(maps, level, image, cells)
        return columns.float().sigmoid() * rows.float().sigmoid()

    def probabilities(self, maps: Maps, level: int, image: int, cells: Tensor, size: Size) -> Tensor:
        """`(M, *size)` masks of some cells, between 0 and 1."""
        columns, rows = self._of_cells(maps, level, image, cells)
        return stretched(columns, size) * stretched(rows, size)

    def _of_cells(self, maps: Maps, level: int, image: int, cells: Tensor) -> tuple[Tensor, Tensor]:
        grid = self.num_grids[level]
        return maps[0][level][image, cells % grid], maps[1][level][image, cells // grid]


class DecoupledSOLOHead(DecoupledMasks, GridMaskHead):
    """A tower for the masks of columns and one for those of rows (arXiv:1912.04488).

    Args:
        num_classes: `K`.
        in_channels: of the feature maps.
        init_cfg: weight initialisation.
        **kwargs: see `GridMaskHead`.
    """

    def __init__(self, num_classes: int, in_channels: int, init_cfg: Any = DECOUPLED, **kwargs: Any) -> None:
        super().__init__(num_classes, in_channels, init_cfg=init_cfg, **kwargs)

    def build_layers(self) -> None:
        self.mask_convs_x = self.tower(extra_channels=1)
        self.mask_convs_y = self.tower(extra_channels=1)
        self.cls_convs = self.tower()
        self.add_predictors()

    def sides(self, feature: Tensor) -> tuple[Tensor, Tensor]:
        placed = with_coordinates(feature)
        columns = run(self.mask_convs_x, placed[:, :-1])
        rows = run(self.mask_convs_y, torch.cat([feature, placed[:, -1:]], dim=1))
        return doubled(columns), doubled(rows)


class DecoupledSOLOLightHead(DecoupledMasks, GridMaskHead):
    """Columns and rows share one tower.

    Args:
        num_classes: `K`.
        in_channels: of the feature maps.
        dcn_cfg: type of the last convolution of the towers; None for an ordinary one.
        init_cfg: weight initialisation.
        **kwargs: see `GridMaskHead`.
    """

    def __init__(
        self, num_classes: int, in_channels: int, dcn_cfg: Any = None, init_cfg: Any = DECOUPLED, **kwargs: Any
    ) -> None:
        self.dcn_cfg = dcn_cfg
        super().__init__(num_classes, in_channels, init_cfg=init_cfg, **kwargs)

    def build_layers(self) -> None:
        self.mask_convs = self.tower(extra_channels=2, last_conv_cfg=self.dcn_cfg)
        self.cls_convs = self.tower(last_conv_cfg=self.dcn_cfg)
        self.add_predictors()

    def sides(self, feature: Tensor) -> tuple[Tensor, Tensor]:
        both = doubled(run(self.mask_convs, with_coordinates(feature)))
        return both, both
